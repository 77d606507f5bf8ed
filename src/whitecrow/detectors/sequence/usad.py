"""USAD: Audibert et al., "USAD: UnSupervised Anomaly Detection on Multivariate Time Series", KDD 2020."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor, tensor

from whitecrow.core.parameters import Count, Positive, Share
from whitecrow.core.spec import InputSpec
from whitecrow.data.series.encoder import Window
from whitecrow.detectors._series import DeepSeriesDetector
from whitecrow.nn import Networks, mlp
from whitecrow.train import Batch, Execution, Objective, Stage

__all__ = ["USAD"]

_LARGEST_DIFFERENCE = 4.0  # mean squared error beyond which the second decoder gains nothing by a larger one
_WIDEST = 128


class USAD(DeepSeriesDetector):
    r"""Two autoencoders that share an encoder: the second learns to tell windows from what the first makes of them.

    .. math::
        s(w) = \alpha \lVert w - AE_1(w) \rVert^2 + (1 - \alpha) \lVert w - AE_2(AE_1(w)) \rVert^2

    each the mean over the W·C values. In epoch n the encoder and the first decoder minimise :math:`L_1`, and then the
    encoder and the second decoder :math:`L_2`, each with an optimiser of its own:

    .. math::
        L_1 &= \tfrac1n \lVert w - AE_1(w) \rVert^2 + (1 - \tfrac1n) \lVert w - AE_2(AE_1(w)) \rVert^2 \\
        L_2 &= \tfrac1n \lVert w - AE_2(w) \rVert^2 - (1 - \tfrac1n) \lVert w - AE_2(AE_1(w)) \rVert^2

    Parameters
    ----------
    mode : {"adversarial", "two-head"}, default="adversarial"
        *two-head* minimises :math:`\lVert w - AE_1(w) \rVert^2 + \lVert w - AE_2(w) \rVert^2`: what a single optimiser
        of :math:`L_1 + L_2` is left with, as the adversarial terms cancel.
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the decoders mirror them. None takes a half and a
        quarter of W·C, at least 16 and at most 128 and 64.
    latent_dim : int or None, default=None
        Width of the code. None takes W·C / 8, from 4 to 40.
    output : {"sigmoid", "linear"}, default="sigmoid"
        Of the decoders. A sigmoid keeps to [0, 1], the range of the training values under ``scaling="minmax"``; other
        scalings want "linear".
    alpha : float from 0 to 1, default=0.5
        Weight of the first error in the score. Lower values raise more alarms.
    epoch_windows : int, default=20,000
        An epoch n of the losses is a pass over the training windows, or as many passes as take so many windows.
    window : int or "auto", default=100
        Steps in a window, W.
    scaling : {"minmax", "standard", "robust", "none"}, default="minmax"
        As for every detector; the paper's is this default.
    clip : float or None, default=4
        Largest magnitude of a scaled value.
    batch_size : int, default=64
        Windows per step.

    Notes
    -----
    :math:`L_2` has no lower bound, and as n grows the game tends to end with a first decoder that rebuilds nothing.
    With linear decoders the second part of :math:`L_2` therefore counts up to 4 by window and no further; and training
    is validated on the first reconstruction error, which unlike the losses means the same in every epoch: the epoch in
    which that is least is kept. The paper scores the window that ends at a step (``fold="last"``). n counts windows
    where passes are short, because the weights of the losses would otherwise change before anything is learnt.

    References
    ----------
    .. [1] J. Audibert, P. Michiardi, F. Guyard, S. Marti, M. A. Zuluaga, "USAD: UnSupervised Anomaly Detection on
       Multivariate Time Series", KDD 2020.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Audibert et al., KDD 2020"
    year: ClassVar[int] = 2020
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"
    aimed_steps: ClassVar[int] = 1200

    mode: Literal["adversarial", "two-head"] = "adversarial"
    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    output: Literal["sigmoid", "linear"] = "sigmoid"
    alpha: Share = 0.5
    epoch_windows: Count = 20_000
    window: Window = 100
    scaling: Literal["standard", "robust", "minmax", "none"] = "minmax"
    clip: Positive | None = 4.0
    batch_size: Count = 64

    def networks(self, spec: InputSpec) -> Networks:
        d = spec.n_features
        halves = min(max(d // 2, 16), _WIDEST), min(max(d // 4, 16), _WIDEST // 2)
        hidden = self.hidden_dims if self.hidden_dims is not None else halves
        latent = self.latent_dim if self.latent_dim is not None else min(max(d // 8, 4), 40)
        output = "sigmoid" if self.output == "sigmoid" else "none"
        back = latent, *reversed(hidden), d
        return Networks(
            encoder=mlp(d, *hidden, latent),
            decoder1=mlp(*back, output=output),
            decoder2=mlp(*back, output=output),
            epoch=tensor(1.0),
        )

    def stages(self) -> Sequence[Stage]:
        if self.mode == "two-head":
            return (Stage((Objective("two_head_loss"),)),)
        first = Objective("loss_1", trains=("encoder", "decoder1"))
        return (Stage((first, Objective("loss_2", trains=("encoder", "decoder2")))),)

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> None:
        done = epoch + 1
        net.epoch.fill_(1 + min(done, done * len(X) // self.epoch_windows))

    def loss_1(self, net: Networks, batch: Batch) -> Tensor:
        """Return :math:`L_1`, or its first error alone where it is validated."""
        x = batch.x
        rebuilt = net.decoder1(net.encoder(x))
        error = _error(x, rebuilt)
        if not net.training:
            return batch.mean(error)
        share = 1 / net.epoch
        return batch.mean(share * error + (1 - share) * _error(x, net.decoder2(net.encoder(rebuilt))))

    def loss_2(self, net: Networks, batch: Batch) -> Tensor:
        """Return :math:`L_2`."""
        x = batch.x
        code = net.encoder(x)
        rebuilt = net.decoder1(code)
        difference = _error(x, net.decoder2(net.encoder(rebuilt))).clamp_max(_LARGEST_DIFFERENCE)
        share = 1 / net.epoch
        return batch.mean(share * _error(x, net.decoder2(code)) - (1 - share) * difference)

    def two_head_loss(self, net: Networks, batch: Batch) -> Tensor:
        """Return the sum of both reconstruction errors."""
        code = net.encoder(batch.x)
        return batch.mean(_error(batch.x, net.decoder1(code)) + _error(batch.x, net.decoder2(code)))

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        rebuilt = net.decoder1(net.encoder(x))
        again = net.decoder2(net.encoder(rebuilt))
        return self.alpha * _error(x, rebuilt) + (1 - self.alpha) * _error(x, again)


def _error(x: Tensor, rebuilt: Tensor) -> Tensor:
    """Return the mean squared error of each row, ``[B]``."""
    return (x - rebuilt).square().mean(-1)

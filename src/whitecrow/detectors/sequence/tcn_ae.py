"""Temporal convolutional autoencoder: Thill et al., Applied Soft Computing 2021."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from whitecrow.core.parameters import Count, Positive
from whitecrow.core.spec import InputSpec
from whitecrow.data.series.encoder import Window
from whitecrow.detectors._series import DeepSeriesDetector
from whitecrow.nn import Networks
from whitecrow.nn.error_law import ErrorLaw
from whitecrow.train import Batch

__all__ = ["TCNAE"]

_LAW_WINDOWS = 2000  # evenly spaced training windows that the law of the errors is taken from


class TCNAE(DeepSeriesDetector):
    r"""Describe a window by a few slow channels and rebuild it from them; what they cannot say is anomalous.

    .. math:: s_t = \frac{1}{C} \lVert x_t - x'_t \rVert^2, \qquad x' = D(U(P(E(x))))

    The encoder E is a stack of dilated convolutions whose outputs are all kept, and a layer that mixes them into few
    channels; P averages these over stretches of time, U repeats each average, and the decoder D mirrors E. Trained on
    the mean of the same error.

    Parameters
    ----------
    n_filters : int, default=16
        Channels of each dilated convolution.
    kernel : int, default=7
        Steps that a convolution sees, a dilation apart.
    dilations : tuple of int, default=(1, 2, 4, 8, 16)
        Of the encoder's layers; the decoder's are these backwards. Together they see 1 + (kernel - 1) times their sum
        steps.
    latent_channels : int or None, default=None
        Channels of the code. None takes 4 for each channel of the series, but no more than 16.
    pool : int, default=32
        Steps that share one value of the code, at most a window. A code of ``latent_channels / (pool * C)`` times the
        size of the window should stay below a quarter, or the window is copied.
    score_type : {"squared", "mahalanobis"}, default="squared"
        The score above, or :math:`(e_t - \mu)^\top \Sigma^{-1} (e_t - \mu)` of the errors :math:`e_t = x_t - x'_t` with
        their mean and covariance over the channels, taken from the training windows.
    window : int or "auto", default=128
        Steps in a window, W.
    batch_size : int, default=64
        Windows per step.
    lr : float or None, default=3e-3
        Learning rate of Adam.

    Notes
    -----
    The paper's loss is the log-cosh of the error, and its score a Mahalanobis distance of 32 successive errors.

    References
    ----------
    .. [1] M. Thill, W. Konen, H. Wang, T. Bäck, "Temporal convolutional autoencoder for unsupervised anomaly detection
       in time series", Applied Soft Computing 112, 2021.
    .. [2] A. Garg, W. Zhang, J. Samaran, R. Savitha, C.-S. Foo, "An Evaluation of Anomaly Detection and Diagnosis in
       Multivariate Time Series", IEEE TNNLS 33(6), 2022, arXiv 2109.11428.
    """

    paper: ClassVar[str] = "Thill et al., Applied Soft Computing 2021"
    year: ClassVar[int] = 2021
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 1000

    n_filters: Count = 16
    kernel: Count = 7
    dilations: tuple[Count, ...] = (1, 2, 4, 8, 16)
    latent_channels: Count | None = None
    pool: Count = 32
    score_type: Literal["squared", "mahalanobis"] = "squared"
    window: Window = 128
    batch_size: Count = 64
    lr: Positive | None = 3e-3

    def networks(self, spec: InputSpec) -> Networks:
        window, n_channels = spec.shape
        latent = self.latent_channels if self.latent_channels is not None else min(4 * n_channels, 16)
        wide = self.n_filters * len(self.dilations)
        return Networks(
            encoder=nn.Sequential(
                _Dilated(n_channels, self.n_filters, self.kernel, self.dilations),
                nn.Conv1d(wide, latent, 1),
                # Of steps that do not divide evenly, the last stretch is shorter.
                nn.AvgPool1d(min(self.pool, window), ceil_mode=True),
            ),
            decoder=nn.Sequential(
                _Dilated(latent, self.n_filters, self.kernel, self.dilations[::-1]), nn.Conv1d(wide, n_channels, 1)
            ),
            law=ErrorLaw(n_channels),
        )

    def finish(self, net: Networks, X: Tensor) -> None:
        if self.score_type == "mahalanobis":
            windows = X[:: -(-len(X) // _LAW_WINDOWS)]
            net.law.fit(torch.cat([self._errors(net, part) for part in windows.split(self.chunk_rows)]))

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(self._errors(net, batch.x).square().mean((-2, -1)))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        errors = self._errors(net, x)
        return net.law.distance(errors) if self.score_type == "mahalanobis" else errors.square().mean(-1)

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return x - self._errors(net, x).flatten(-2)

    def _errors(self, net: Networks, x: Tensor) -> Tensor:
        """Return the signed errors of rows ``[B, W * C]``, ``[B, W, C]``."""
        steps = x.unflatten(-1, self.spec_.shape)
        window = steps.shape[1]
        code = net.encoder(steps.transpose(1, 2))
        slow = code.repeat_interleave(min(self.pool, window), -1)[..., :window]
        return steps - net.decoder(slow).transpose(1, 2)


class _Dilated(nn.Module):
    """Dilated convolutions one after the other, ``[B, c_in, W]`` to all their outputs, ``[B, filters * n, W]``."""

    def __init__(self, c_in: int, filters: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        inputs = (c_in, *[filters] * (len(dilations) - 1))
        self.layers = nn.ModuleList(
            nn.Conv1d(before, filters, kernel, padding="same", dilation=d)
            for before, d in zip(inputs, dilations, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs side by side."""
        outputs = []
        for layer in self.layers:
            x = layer(x).relu()
            outputs.append(x)
        return torch.cat(outputs, 1)

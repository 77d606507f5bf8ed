"""Internal contrastive learning: Shenkar and Wolf, "Anomaly Detection for Tabular Data", ICLR 2022."""

from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu_, pad

from whitecrow.core.parameters import Count, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Networks, complement_product, matching_loss, mlp, sliced_gradient, window_product
from whitecrow.train import Batch, Execution

__all__ = ["ICL"]

_SLICE = 1 << 20  # numbers that a slice of a batch becomes, so few that they stay in the cache
_LARGEST = 1e15  # of a scaled value; beyond it the products overflow


class ICL(DeepDetector):
    r"""Match each window of a row's features with the rest of that row; where they cannot be matched it is anomalous.

    .. math:: s(x) = -\frac{1}{m} \sum_{j=1}^{m} \log \frac{\exp(u_j^\top v_j / \tau)}{\sum_{l=1}^{m}
        \exp(u_j^\top v_l / \tau)}, \qquad u_j = \frac{F(b_j)}{\lVert F(b_j) \rVert}, \quad
        v_j = \frac{G(a_j)}{\lVert G(a_j) \rVert}

    where :math:`a_j` is the j-th of the :math:`m = D - k + 1` windows of k consecutive features and :math:`b_j` the
    other D - k features. The networks F and G are trained on the same loss, which contrasts the windows of one row,
    never different rows.

    Parameters
    ----------
    window : int or None, default=None
        k, at most D - 1. None takes 1 up to 3 features, 2 up to 40, 10 up to 160 and D - 150 above, so that there are
        at most 151 windows.
    hidden_dims : tuple of int, default=(100, 50)
        Widths of the hidden layers of F; those of G are half as wide.
    latent_dim : int, default=64
        Width of the outputs of both.
    temperature : float of at least 0.01, default=0.2
        :math:`\tau`.

    Notes
    -----
    The authors normalise each window by its batch, and give it a scale and a shift of its own. Normalisation is left
    out, since a row's score would depend on other rows. A shift by window, in the first layer, stays: without it the
    windows of a row near the mean of the training rows look alike, and the most usual rows score highest.

    Which features are neighbours is arbitrary, so each replica puts them into a random order of its own:
    ``n_replicas`` above 1 averages over orders. A table of one column cannot be split; it gets a second one of zeros.

    References
    ----------
    .. [1] T. Shenkar, L. Wolf, "Anomaly Detection for Tabular Data with Internal Contrastive Learning", ICLR 2022.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Shenkar and Wolf, ICLR 2022"
    year: ClassVar[int] = 2022
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    chunk_rows: ClassVar[int] = 128  # each row becomes up to 151 windows and their complements

    batch_size: Count = 64
    window: Count | None = None
    hidden_dims: tuple[Count, ...] = (100, 50)
    latent_dim: Count = 64
    temperature: Annotated[float, Range(0.01)] = 0.2

    def networks(self, spec: InputSpec) -> Networks:
        d = max(spec.n_features, 2)
        k = self._window(d)
        half = [max(width // 2, 2) for width in self.hidden_dims]
        return Networks(
            F=_Encoder(d - k + 1, d - k, *self.hidden_dims, self.latent_dim),
            G=_Encoder(d - k + 1, k, *half, self.latent_dim),
            # Numbers to sort by instead of an index, which a damaged file could point anywhere.
            order=torch.rand(d),
        )

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(self.score_batch(net, batch.x))

    def gradient(self, net: Networks, batch: Batch) -> tuple[Tensor, dict[Tensor, Tensor]]:
        return sliced_gradient(partial(self._scores, net), net, batch.x, batch.weight, self._slice_rows(net))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return torch.cat([self._scores(net, rows) for rows in x.split(self._slice_rows(net), -2)], -1)

    def _scores(self, net: Networks, x: Tensor) -> Tensor:
        if x.shape[-1] == 1:
            x = pad(x, (0, 1))
        x = x.clamp(-_LARGEST, _LARGEST).gather(-1, net.order.argsort(-1).expand(x.shape))
        k = self._window(x.shape[-1])
        u = net.F(complement_product(x, net.F.first.weight0, k)).transpose(-2, -3)
        v = net.G(window_product(x, net.G.first.weight0, k)).transpose(-2, -3)
        return matching_loss(u, v, float(self.temperature)).mean(-1)

    def _slice_rows(self, net: Networks) -> int:
        m = net.F.shifts.shape[-2]
        return max(_SLICE // (m * (m + 100)), 8)

    def _window(self, d: int) -> int:
        if self.window is not None:
            return min(int(self.window), d - 1)
        return 1 if d <= 3 else 2 if d <= 40 else 10 if d <= 160 else d - 150


class _Encoder(nn.Module):
    """A perceptron that all windows share but for the bias of its first layer, which each window has for itself."""

    def __init__(self, n_windows: int, *widths: int) -> None:
        super().__init__()
        self.first = mlp(*widths[:2], bias=False)
        self.shifts = nn.Parameter(0.3 * torch.randn(n_windows, widths[1]))
        self.rest = mlp(*widths[1:], activation="leaky-relu") if len(widths) > 2 else None

    def forward(self, h: Tensor) -> Tensor:
        """Return the codes ``[m, B, out]`` from the first layer's products ``[m, B, hidden]``, the windows first."""
        h = h + self.shifts.unsqueeze(-2)
        return h if self.rest is None else self.rest(leaky_relu_(h, 0.2))

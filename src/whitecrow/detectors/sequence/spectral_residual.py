"""Spectral residual: Ren et al., "Time-Series Anomaly Detection Service at Microsoft", KDD 2019."""

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

from whitecrow.core.parameters import Count
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.detectors._series import SeriesDetector
from whitecrow.detectors.sequence._shape import reach
from whitecrow.nn import Networks

__all__ = ["SpectralResidual"]

_NO_AMPLITUDE = 1e-8  # share of the range in training below which an amplitude is rounding
_EXTENSION = 5  # estimated steps after a window
_SLOPES = 5  # of the steps before the last one


class SpectralResidual(SeriesDetector):
    r"""Flatten the spectrum of a series; what then stands out in time is what its regularities do not explain.

    With the amplitude A and the phase P of the Fourier transform of T steps and the moving average
    :math:`\operatorname{avg}_q` over q frequencies,

    .. math::
        R = \log A - \operatorname{avg}_q(\log A), \qquad
        S = \sqrt T \, \lvert \mathcal F^{-1} \exp(R + i P) \rvert                              (eq. 1-5)

    is the saliency of each step, averaged over the channels.

    Parameters
    ----------
    span : {"series", "window"}, default="series"
        What is transformed. *series*: every series as a whole; the default fold leaves the saliency of each step as it
        is, and ``window`` only says how long a series must be. *window*: each window by itself, so that with
        ``fold="last"`` no score depends on later steps; take windows of some hundred steps and ``smoothing=3`` then.
        Fixed windows are always transformed one by one.
    smoothing : int, default=100
        q, in frequencies. The benchmark takes 100, the paper 3.
    spectrum_ends : {"repeat", "series"}, default="repeat"
        What the moving average meets beyond the ends of the log-spectrum: its first and last value; or, as in the
        benchmark's code, the first and last value of the series, which makes the score depend on their level. With
        ``scaling="minmax"`` it gives the benchmark's figures.
    score_type : {"saliency", "relative"}, default="saliency"
        *saliency*: S, as the benchmark. *relative*: how far S exceeds its mean over the last ``background``
        steps, as a share of that mean, cut at 0, as the paper.
    background : int, default=21
        Steps of the moving mean of S for the relative score, the step itself included.

    Notes
    -----
    The factor :math:`\sqrt T`, absent from the paper, makes the saliency of noise the same for any length, so that a
    threshold holds for series of other lengths than that of the fit. A frequency whose amplitude is below 1e-8 of
    the range in training is left out: its logarithm would be that of a rounding error. A window is extended by
    5 steps estimated from its last slopes (eq. 8, 9), so that its last step is not an end of the transform. As in the
    authors' code, these slopes leave the last step out: continued, a spike would stand behind what stands out more.

    References
    ----------
    .. [1] H. Ren et al., "Time-Series Anomaly Detection Service at Microsoft", KDD 2019, arXiv 1906.03821.
    """

    paper: ClassVar[str] = "Ren et al., KDD 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    span: Literal["series", "window"] = "series"
    smoothing: Count = 100
    spectrum_ends: Literal["repeat", "series"] = "repeat"
    score_type: Literal["saliency", "relative"] = "saliency"
    background: Count = 21

    @property
    def whole_series(self) -> bool:
        return self.span == "series"

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        return Networks(reach=reach(X, self.spec_.shape[1]))

    def score_segment(self, net: Networks, steps: Tensor) -> Tensor:
        scores = self._scores(net, steps.mT)
        # Every window says the same of a step, so that any fold gives just this.
        return scores.unfold(0, self.spec_.shape[0], 1)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        windows = x.unflatten(1, self.spec_.shape).mT
        return self._scores(net, _extended(windows))[:, : self.spec_.shape[0]]

    def _scores(self, net: Networks, values: Tensor) -> Tensor:
        """Return the scores ``[..., T]`` of the steps of ``values [..., C, T]``."""
        values = values.double()
        ends = values[..., [0, -1]] if self.spectrum_ends == "series" else None
        s = _saliency(values, net.reach.unsqueeze(-1), int(self.smoothing), ends)
        if self.score_type == "relative":
            mean = _moving_mean(s, int(self.background) - 1, 0)
            s = ((s - mean) / mean.clamp_min(_NO_AMPLITUDE)).clamp_min(0)
        return s.mean(-2)

    def check_buffers(self, net: Networks) -> None:
        check_layout("SpectralResidual", net, reach=(torch.float64, (self.spec_.shape[1],)))
        if bool((net.reach < 0).any()):
            refuse("SpectralResidual", "the range of a channel is negative")


def _saliency(values: Tensor, span: Tensor, smoothing: int, ends: Tensor | None) -> Tensor:
    """Return the saliency ``[..., C, T]`` of each step of each channel; ``ends [..., C, 2]`` as ``spectrum_ends``."""
    n = values.shape[-1]
    spectrum = torch.fft.rfft(values)
    amplitude = spectrum.abs()
    present = amplitude > _NO_AMPLITUDE * span * n**0.5
    amplitude = amplitude.where(present, 1.0)
    # The level is no oscillation: the average begins above frequency 0, whose residual is 0.
    logarithm = amplitude.log()
    residual = torch.zeros_like(logarithm)
    if n > 1:
        before = (smoothing - 1) // 2
        above = logarithm[..., 1:]
        residual[..., 1:] = above - _moving_mean(above, before, smoothing - 1 - before, ends)
    flat = torch.where(present, spectrum / amplitude * residual.exp(), 0)
    return n**0.5 * torch.fft.irfft(flat, n).abs()


def _moving_mean(values: Tensor, before: int, after: int, ends: Tensor | None = None) -> Tensor:
    """Return the mean of each value, of those ``before`` and of those ``after`` it; beyond its ends, of ``ends``."""
    first, last = (values[..., :1], values[..., -1:]) if ends is None else (ends[..., :1], ends[..., 1:])
    shape = values.shape[:-1]
    padded = torch.cat([first.expand(*shape, before), values, last.expand(*shape, after)], -1)
    return avg_pool1d(padded.reshape(-1, 1, padded.shape[-1]), before + after + 1, 1).reshape(values.shape)


def _extended(windows: Tensor) -> Tensor:
    """Return windows ``[B, C, W]`` with estimated steps after them, all alike."""
    known = windows[..., :-1]
    n = known.shape[-1]
    m = min(_SLOPES, n - 1)
    if m < 1:
        return windows
    back = torch.arange(1, m + 1, device=windows.device)
    slope = ((known[..., -1:] - known[..., n - 1 - back]) / back).mean(-1, keepdim=True)
    estimate = known[..., n - m].unsqueeze(-1) + slope * m
    return torch.cat([windows, estimate.expand(*windows.shape[:-1], _EXTENSION)], -1)

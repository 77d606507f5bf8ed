"""Matrix profile: Yeh et al., "Matrix Profile I: All Pairs Similarity Joins for Time Series", ICDM 2016."""

import warnings
from importlib import import_module
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whitecrow.core.errors import missing_extra
from whitecrow.core.parameters import Count
from whitecrow.data.series.folding import Fold
from whitecrow.data.series.windows import window_view
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.detectors._prepared import Prepared
from whitecrow.detectors._series import SeriesDetector
from whitecrow.detectors.sequence._shape import flatness, shapes
from whitecrow.nn import Networks

__all__ = ["MatrixProfile"]

_BLOCK_NUMBERS = 1 << 22


class MatrixProfile(SeriesDetector):
    r"""Compare the shapes of windows; one that resembles no other is a discord.

    .. math:: s(x) = \frac{1}{C} \sum_{c=1}^{C} \min_i \lVert z(x_c) - z(a_{i,c}) \rVert, \qquad
        z(a) = \frac{a - \bar a}{\sigma_a}

    over the other windows :math:`a_i`, channel by channel.

    Parameters
    ----------
    join : {"train", "self"}, default="train"
        Where the other windows come from. *train*: the training windows, so that a score depends on nothing else in
        the series (an AB-join). *self*: the series itself, all windows that begin more than W / 4 steps away, which
        is the matrix profile proper: nothing is learnt, and an anomaly that occurs twice hides itself. Fixed windows
        are always compared with the training windows.
    engine : {"torch", "stumpy"}, default="torch"
        What computes a self-join of n windows. *torch*: matrix products, a time of order n^2 W. *stumpy*: the
        library [2]_, of order n^2, for series of more than some 50,000 steps: its first call compiles for about half
        a minute. It needs the extra ``whitecrow[series]``. Both give the same distances.
    max_windows : int, default=20_000
        Of more training windows as many, evenly spaced, are kept for the join with them.
    fold : {"last", "centre", "mean", "median", "max"}, default="centre"
        How scores of windows become scores of steps.

    Notes
    -----
    A flat window, whose standard deviation is at most 1e-6 of the range in training, has z = 0: at distance 0 from
    others and :math:`\sqrt W` from the rest. Where there is no other window at all, the distance is that of
    uncorrelated ones, :math:`\sqrt{2 W}`.

    For the threshold the training steps are scored by the training windows that begin more than W / 4 steps away.
    ``anomaly_score`` of the same steps finds each window among the training windows, at distance 0.

    References
    ----------
    .. [1] C.-C. M. Yeh et al., "Matrix Profile I: All Pairs Similarity Joins for Time Series", ICDM 2016.
    .. [2] S. M. Law, "STUMPY: A Powerful and Scalable Python Library for Time Series Data Mining", Journal of Open
       Source Software 4(39), 2019.
    """

    paper: ClassVar[str] = "Yeh et al., ICDM 2016"
    year: ClassVar[int] = 2016
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    join: Literal["train", "self"] = "train"
    engine: Literal["torch", "stumpy"] = "torch"
    max_windows: Count = 20_000
    fold: Fold = "centre"

    @property
    def whole_series(self) -> bool:
        return self.join == "self"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.engine == "stumpy":
            _stumpy()

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        kept = X[torch.from_numpy(self._kept(len(X))).to(X.device)]
        flat = flatness(X, self.spec_.shape[1])
        return Networks(windows=self._shapes(kept, flat).float(), flat=flat)

    def _kept(self, n: int) -> NDArray[np.int64]:
        """Return the places of the training windows that are kept out of n."""
        return np.linspace(0, n - 1, min(n, int(self.max_windows))).astype(np.int64)

    def _shapes(self, x: Tensor, flat: Tensor) -> Tensor:
        """Return the shape of each channel of windows ``[B, W * C]`` as ``[C, B, W]``."""
        return shapes(x.unflatten(1, self.spec_.shape).permute(2, 0, 1), flat[:, None, None])

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return _distances(self._shapes(x, net.flat), net.windows.double())

    def score_segment(self, net: Networks, steps: Tensor) -> Tensor:
        w = self.spec_.shape[0]
        if self.engine == "stumpy":
            flat = net.flat.cpu().numpy()
            channels = steps.T.cpu().numpy().astype(np.float64)
            found = [_stumpy_distances(channel, w, f) for channel, f in zip(channels, flat, strict=True)]
            return torch.from_numpy(np.mean(found, axis=0)).to(steps.device)
        z = self._segment_shapes(net, steps)
        places = torch.arange(z.shape[1], device=z.device)
        return self._apart(z, places, z, places)

    def _segment_shapes(self, net: Networks, steps: Tensor) -> Tensor:
        """Return the shapes ``[C, n, W]`` of all windows of steps ``[.., C]``."""
        return shapes(steps.unfold(0, self.spec_.shape[0], 1).transpose(0, 1), net.flat[:, None, None])

    def _apart(self, z: Tensor, places: Tensor, others: Tensor, theirs: Tensor) -> Tensor:
        """Return the profile ``[n]`` of windows by those others that begin far enough away from each."""
        zone = -(-self.spec_.shape[0] // 4)
        size = max(1, _BLOCK_NUMBERS // len(theirs))
        return torch.cat(
            [
                _distances(z[:, part], others, (places[part, None] - theirs).abs() <= zone)
                for part in torch.arange(len(places), device=z.device).split(size)
            ]
        )

    def _fit_scores(self, prepared: Prepared) -> NDArray[np.float64]:
        if self.join == "self" or prepared.given.form == "windows":
            return super()._fit_scores(prepared)
        kept = torch.from_numpy(prepared.fitting[self._kept(len(prepared.fitting))])

        def hook(net: Networks, steps: Tensor, first: int) -> Tensor:
            z, theirs = self._segment_shapes(net, steps), kept.to(steps.device)
            places = torch.arange(first, first + z.shape[1], device=steps.device)
            return self._apart(z, places, net.windows.double(), theirs)

        return self._segment_scores(prepared.given, hook)[0]

    def check_buffers(self, net: Networks) -> None:
        w, c = self.spec_.shape
        check_layout("MatrixProfile", net, windows=(torch.float32, (c, None, w)), flat=(torch.float64, (c,)))
        if not net.windows.shape[1] or bool((net.flat < 0).any()):
            refuse("MatrixProfile", "it has no windows, or a negative threshold of flatness")


def _distances(z: Tensor, others: Tensor, excluded: Tensor | None = None) -> Tensor:
    """Return the distance of each window to the nearest other one, the mean over the channels ``[n]``.

    Parameters
    ----------
    z : Tensor [C, n, W], float64
        Shapes of the windows.
    others : Tensor [C, m, W], float64
        Shapes to search among.
    excluded : Tensor [n, m] of bool, optional
        Pairs that are not compared.
    """
    total = z.new_zeros(z.shape[1])
    for own, their in zip(z, others, strict=True):
        squares = torch.addmm(their.square().sum(1), own, their.mT, alpha=-2)
        if excluded is not None:
            squares = squares.masked_fill_(excluded, torch.inf)
        nearest = squares.amin(1) + own.square().sum(1)
        total += nearest.nan_to_num(posinf=2 * z.shape[2]).clamp_min(0).sqrt()
    return total / len(z)


def _stumpy_distances(channel: NDArray[np.float64], window: int, flat: float) -> NDArray[np.float64]:
    """Return the self-join ``[n - W + 1]`` of the steps ``[n]`` of a channel."""
    is_flat = window_view(channel[:, None], window)[:, :, 0].std(1) <= flat
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a window that is long for the series
        profile = _stumpy().stump(channel, window, T_A_subseq_isconstant=is_flat)
    found = np.asarray(profile[:, 0], dtype=np.float64)
    return np.where(np.isfinite(found), found, np.sqrt(2 * window))


def _stumpy() -> Any:
    try:
        return import_module("stumpy")
    except ImportError as error:
        raise missing_extra("stumpy", "series", "MatrixProfile(engine='stumpy')") from error

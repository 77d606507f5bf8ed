"""How rare a score is among others: the negative logarithm of the share that is as high, and beyond them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["N_KNOTS", "rarity", "tail_knots", "tails"]

N_KNOTS = 257
_FARTHEST = 1e300
_TAIL = 0.05  # share of the scores that the exponential tail is fitted to


def tail_knots(scores: NDArray[np.float64]) -> tuple[Tensor, float]:
    r"""Return the law of scores as knots of :math:`-\log \Pr(S \ge s)`, and its slope beyond the highest score.

    Parameters
    ----------
    scores : ndarray [n]
        Finite, at least one.

    Returns
    -------
    knots : Tensor [2, N_KNOTS], float64
        Scores in rising order, repeated at the end if they are few, and the values there; ties share the middle of
        their ranks.
    slope : float
        Above 0: one over the mean excess of the highest scores over their 95 % quantile, that is an exponential tail.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    n = len(ordered)
    distinct, first, count = np.unique(ordered, return_index=True, return_counts=True)
    rarities = -np.log((n - first - count / 2 + 0.5) / (n + 1))
    # Evenly spaced in rarity, so that the tail, where detectors differ, is the finest.
    chosen = np.unique(
        np.searchsorted(rarities, np.linspace(rarities[0], rarities[-1], N_KNOTS)).clip(0, len(rarities) - 1)
    )
    chosen = np.concatenate([chosen, np.full(N_KNOTS - len(chosen), chosen[-1])])
    start = np.quantile(ordered, 1 - _TAIL)
    excess = ordered[ordered > start] - start
    # Where the highest scores are all equal, a thousandth of the range or of the score stands for the excess.
    least = 1e-3 * max(ordered[-1] - ordered[0], 1e-3 * abs(ordered[-1]), 1e-9)
    mean = max(float(excess.mean()) if len(excess) else 0.0, least)
    return torch.from_numpy(np.stack([distinct[chosen], rarities[chosen]])), 1 / mean


def tails(knots: Tensor, slopes: Tensor, scores: Tensor) -> Tensor:
    """Return how rare scores are by laws of :func:`tail_knots`.

    Parameters
    ----------
    knots : Tensor [M, 2, N_KNOTS], float64
    slopes : Tensor [M], float64
    scores : Tensor [B, M], float64

    Returns
    -------
    Tensor [B, M]
        At least 0 and never falling in the score: linear between knots, that of the first below it. Beyond the last
        it grows with the logarithm of what the exponential tail says, which a few scores cannot vouch for.
    """
    places, values = knots[:, 0].contiguous(), knots[:, 1]
    s = scores.T.contiguous()
    above = torch.searchsorted(places, s).clamp(1, N_KNOTS - 1)
    low, high = places.gather(1, above - 1), places.gather(1, above)
    share = ((s - low) / torch.where(high > low, high - low, 1.0)).clamp(0, 1)
    between = torch.lerp(values.gather(1, above - 1), values.gather(1, above), share)
    steep = slopes.unsqueeze(1)
    beyond = ((s - places[:, -1:]).clamp_min(0).minimum(_FARTHEST / steep) * steep).log1p()
    return (between + beyond).clamp_min(0).T


def rarity(knots: Tensor, slope: float, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how rare scores ``[n]`` are by one law of :func:`tail_knots`, ``[n]``."""
    slopes = torch.tensor([slope], dtype=torch.float64)
    return tails(knots.unsqueeze(0), slopes, torch.from_numpy(scores).unsqueeze(1)).squeeze(1).numpy()

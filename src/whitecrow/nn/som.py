"""Self-organising maps: square grids of units that spread over the rows and keep their neighbours beside them."""

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["fit_map", "map_coordinates"]

_CHUNK = 8192
_LEAST = 1e-100


def fit_map(rows: Tensor, start: Tensor, n_epochs: int) -> Tensor:
    r"""Return the units of a map that is fitted to rows by the batch rule, in which their order has no part.

    In each pass a unit becomes the mean of all rows, weighted by :math:`\exp(-\lVert p_j - p_i \rVert^2 / 2 \sigma^2)`,
    where :math:`p_j` is its place on the grid and :math:`p_i` that of the unit nearest to the row. :math:`\sigma` falls
    from half a side to half a step.

    Parameters
    ----------
    rows : Tensor [N, D]
        Training rows.
    start : Tensor [M, D], float64
        Standard normal numbers; M is the square of the side, at least 4. They turn the plane, near that of the two
        largest principal components, on which the units start, and place these a little off it.
    n_epochs : int
        Passes over the rows.

    Returns
    -------
    Tensor [M, D], float64
        Units, row by row of the grid.

    References
    ----------
    .. [1] T. Kohonen, "Essentials of the self-organizing map", Neural Networks 37, 2013.
    """
    side = math.isqrt(len(start))
    rows = rows.double()
    axis = torch.arange(side, device=rows.device, dtype=rows.dtype)
    place = torch.cartesian_prod(axis, axis)
    square_distance = (place.unsqueeze(0) - place.unsqueeze(1)).square().sum(-1)
    w = _plane(rows, start, 4 * place / (side - 1) - 2)
    for sigma in np.geomspace(side / 2, 0.5, n_epochs):
        winner = torch.cat([_winners(part, w) for part in rows.split(_CHUNK)])
        count = torch.bincount(winner, minlength=len(w)).to(w.dtype)
        total = torch.zeros_like(w).index_add_(0, winner, rows)
        near = (-square_distance / (2 * sigma**2)).exp()
        mass = (near @ count).unsqueeze(1)
        # A unit so far from every winner that its weights vanish stays where it is.
        w = torch.where(mass > _LEAST, near @ total / mass.clamp_min(_LEAST), w)
    return w


def map_coordinates(x: Tensor, maps: Tensor) -> Tensor:
    """Return where the unit nearest to each row lies on each map.

    Parameters
    ----------
    x : Tensor [..., B, D]
        Rows.
    maps : Tensor [..., S, M, D], float64
        Units of S maps.

    Returns
    -------
    Tensor [..., B, 2 S], float64
        Row and column on each grid, from 0 to 1.
    """
    side = math.isqrt(maps.shape[-2])
    winner = _winners(x.double().unsqueeze(-3), maps)  # [..., S, B]
    place = torch.stack([winner // side, winner % side], -1).double() / (side - 1)
    return place.movedim(-3, -2).flatten(-2)


def _winners(x: Tensor, w: Tensor) -> Tensor:
    # |x - w|^2 without its first term |x|^2; in float64, so that rounding does not choose between units.
    return (w.square().sum(-1).unsqueeze(-2) - 2 * x @ w.mT).argmin(-1)


def _plane(rows: Tensor, start: Tensor, place: Tensor) -> Tensor:
    centre = rows.mean(0)
    centred = rows - centre
    axes = start[:2]
    for _ in range(2):  # two steps of the power method: near the principal plane, and maps still differ
        axes = axes @ (centred.T @ centred) / len(rows)
        first = axes[0] / axes[0].norm().clamp_min(_LEAST)
        second = axes[1] - (axes[1] @ first) * first
        axes = torch.stack([first, second / second.norm().clamp_min(_LEAST)])
    spread = (centred @ axes.T).square().mean(0).sqrt()
    return centre + place @ (spread.unsqueeze(1) * axes) + 0.01 * start

"""A few rows that stand for many: greedy k-centre selection."""

import math

import torch
from torch import Tensor

__all__ = ["k_centres", "sparse_projection"]

_CANDIDATES = 512
_BLOCK_NUMBERS = 1 << 22
_COPY = 1e-6


@torch.no_grad()
def k_centres(rows: Tensor, n: int) -> Tensor:
    r"""Return the indices of up to n rows, chosen so that no row lies far from all of them.

    .. math:: i_{t+1} = \arg\max_i \min_{s \le t} \lVert x_i - x_{i_s} \rVert, \qquad
              i_1 = \arg\min_i \lVert x_i - \bar x \rVert

    The largest distance of a row to the nearest chosen one is at most twice the least that n rows can have [1]_.
    Rows that are copies of chosen ones are never chosen, so there may be fewer than n.

    Parameters
    ----------
    rows : Tensor [N, D]
        Rows to choose from.
    n : int
        Number to choose, at most N.

    Returns
    -------
    Tensor [at most n], int64
        In the order of their choice.

    Notes
    -----
    Memory beside the rows is O(N): the squared distance of each row to the nearest chosen one. It is brought up to
    date for many choices by one matrix product. In between, only the rows that lie farthest are followed: whichever
    of these still lies farther than all others did is the next choice, since distances never grow.

    References
    ----------
    .. [1] T. F. Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance", Theoretical Computer Science
       38, 1985.
    """
    rows = rows - rows.mean(0)
    squares = rows.square().sum(1)
    copy = _COPY * float(squares.mean())
    chosen = [int(squares.argmin())]
    fresh = chosen
    nearest = torch.full_like(squares, torch.inf)
    while True:
        _approach(nearest, rows, squares, rows[fresh])
        nearest[fresh] = 0
        fresh = _farthest(nearest, rows, n - len(chosen), copy)
        if not fresh:
            return torch.tensor(chosen, device=rows.device)
        chosen = chosen + fresh


def _approach(nearest: Tensor, rows: Tensor, squares: Tensor, centres: Tensor) -> None:
    """Lower the squared distances ``nearest [N]`` to those of the centres ``[M, D]``."""
    offsets = centres.square().sum(1)
    step = max(1, _BLOCK_NUMBERS // len(centres))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        closest = torch.addmm(offsets, rows[part], centres.mT, alpha=-2).amin(1)
        nearest[part] = torch.minimum(nearest[part], (closest + squares[part]).clamp_min(0))


def _farthest(nearest: Tensor, rows: Tensor, n: int, copy: float) -> list[int]:
    """Return the next choices, up to n, as far as they are certain; none if only copies are left."""
    if n == 0:
        return []
    distance, index = nearest.topk(min(_CANDIDATES, len(nearest)))
    # No other row lies farther than the last candidate.
    bound = max(float(distance[-1]) if len(index) < len(nearest) else 0.0, copy)
    followed = rows[index]
    between = torch.cdist(followed, followed).square().cpu()
    distance, places = distance.cpu(), index.tolist()
    found: list[int] = []
    while len(found) < n:
        i = int(distance.argmax())
        if distance[i] < bound or distance[i] <= copy:
            break
        found.append(places[i])
        distance = torch.minimum(distance, between[i])
        distance[i] = 0
    return found


def sparse_projection(d: int, k: int, generator: torch.Generator) -> Tensor:
    r"""Return a sparse random matrix ``[d, k]`` that keeps squared distances on average.

    Its entries are :math:`\pm \sqrt{\sqrt d / k}` with probability :math:`1 / (2 \sqrt d)` each, else 0.

    Parameters
    ----------
    d, k : int
        Dimensions before and after.
    generator : torch.Generator
        Source of the entries.

    References
    ----------
    .. [1] P. Li, T. J. Hastie, K. W. Church, "Very Sparse Random Projections", KDD 2006.
    """
    draws = torch.rand(d, k, generator=generator)
    share = 1 / math.sqrt(d)
    signs = (draws < share / 2).float() - (draws > 1 - share / 2).float()
    return signs * math.sqrt(1 / (share * k))

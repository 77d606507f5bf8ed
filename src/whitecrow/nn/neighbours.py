"""Nearest neighbours, exact in float64, among distinct rows that carry their number of copies."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from whitecrow.nn.noise import derive_seed

__all__ = ["Reference", "distances", "nearest", "reference_rows", "sampling", "without_filling"]

_QUERY_ROWS = 256
_BLOCK_ROWS = 2048
_BLOCK_NUMBERS = 1 << 22
_SPARE = 4
_KEPT_NUMBERS = 1 << 23  # of an index: 64 MiB; a larger one is computed anew for each search


class Reference(NamedTuple):
    """Rows to search among.

    Attributes
    ----------
    rows : Tensor [M, D]
        Distinct rows in lexicographic order, so that the order of the training rows leaves no trace.
    counts : Tensor [M], int64
        Copies of each.
    n_distinct : Tensor [], int64
        Distinct training rows. More than M if the reference is a sample of them.
    """

    rows: Tensor
    counts: Tensor
    n_distinct: Tensor

    @property
    def n_rows(self) -> int:
        """Number of rows, each copy counted."""
        return int(self.counts.sum())


def reference_rows(X: Tensor, limit: int | None, sample: int, seed: int) -> Reference:
    """Reduce training rows to distinct rows with their counts, and to a sample where these are too many.

    Parameters
    ----------
    X : Tensor [N, D]
        Training rows, finite.
    limit : int or None
        Most distinct rows that are all kept. None keeps any number.
    sample : int
        Distinct rows to keep where there are more than ``limit``. Rows are drawn one by one, each copy as likely as
        any other row, until this many distinct ones are drawn; the drawn copies are counted.
    seed : int
        Seed of the draw.
    """
    # Adding zero turns -0 into 0.
    rows, counts = torch.unique(X + 0.0, dim=0, return_counts=True)
    n_distinct = torch.tensor(len(rows), device=X.device)
    if limit is None or len(rows) <= limit:
        return Reference(rows, counts, n_distinct)
    sample = min(sample, limit)
    generator = torch.Generator().manual_seed(derive_seed(seed, "reference rows"))
    order = torch.randperm(len(X), generator=generator).to(X.device)
    # Drawing places in the sorted rows, not in X, gives the same sample for any order of X.
    drawn = torch.searchsorted(counts.cumsum(0), order, right=True)
    first_draw = torch.full_like(counts, len(X)).scatter_reduce_(
        0, drawn, torch.arange(len(X), device=X.device), "amin"
    )
    last = int(first_draw.kthvalue(sample).values)
    chosen, counts = torch.unique(drawn[: last + 1], return_counts=True)
    return Reference(rows[chosen], counts, n_distinct)


def sampling(n_kept: int, n_distinct: int) -> str:
    """Return in words what a reference of ``n_kept`` out of ``n_distinct`` distinct training rows stands on."""
    if n_kept == n_distinct:
        return "exact"
    return f"random sample of {n_kept:,} of the {n_distinct:,} distinct training rows"


def nearest(x: Tensor, rows: Tensor, counts: Tensor, k: int) -> Tensor:
    """Return the indices of the ``k`` nearest reference rows, nearest first.

    A row with c copies is c neighbours and appears as often, cut off at the k-th. Equal distances are ordered by
    index. The result is that of comparing all differences in float64, and that of each row depends on no other row.

    Parameters
    ----------
    x : Tensor [B, D]
        Rows whose neighbours are sought.
    rows : Tensor [M, D]
        Distinct reference rows.
    counts : Tensor [M], int64
        Copies of each, at least 1.
    k : int
        Neighbours, at most the sum of ``counts``.

    Returns
    -------
    Tensor [B, k], int64

    Notes
    -----
    One matrix product gives a lower bound of every squared distance: the expanded square less its worst rounding
    error. The rows with the lowest bounds are candidates, whose distances are then computed from differences. If the
    k-th of these lies below the bound of all other rows the search is complete; otherwise (many equal distances, or
    many rows closer together than the rounding error) it is repeated with more candidates.
    """
    with torch.no_grad():
        index = _index_of(rows)
        return torch.cat([_nearest(block, rows, counts, index, k) for block in x.detach().split(_QUERY_ROWS)])


def distances(x: Tensor, rows: Tensor, index: Tensor) -> Tensor:
    """Return the Euclidean distances from ``x [B, D]`` to ``rows[index]``, ``index [B, k]``, in float64 [B, k]."""
    x = x.double().unsqueeze(1)
    step = max(1, _BLOCK_NUMBERS // max(1, x.numel()))
    parts = [torch.linalg.vector_norm(x - rows[part].double(), dim=-1) for part in index.split(step, dim=1)]
    return torch.cat(parts, dim=1)


def without_filling(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows of a block without the equal ones that fill it up where few are asked for, but for one of these.

    Parameters
    ----------
    x : Tensor [B, D]

    Returns
    -------
    rows : Tensor [b, D]
        Those that differ from the last one, in their order, and the last one.
    place : Tensor [B], int64
        Where each row of ``x`` is among them.
    """
    kept = (x != x[-1:]).any(1)
    kept[-1:] = True
    return x[kept], torch.where(kept, kept.cumsum(0), kept.sum()) - 1


class _Index:
    """What a search needs to know of the reference rows, whatever is sought.

    Attributes
    ----------
    centre : Tensor [D], float64
        Mean of the rows. Centring keeps the products small where the data lie far from the origin.
    """

    def __init__(self, rows: Tensor) -> None:
        self.centre = rows.mean(0, dtype=torch.float64)
        self._kept = list(self._blocks(rows)) if rows.numel() <= _KEPT_NUMBERS else None

    def blocks(self, rows: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the first row of each block, and ``[n, D + 1]``: its rows, centred, and their squares, shrunk."""
        yield from self._blocks(rows) if self._kept is None else self._kept

    def _blocks(self, rows: Tensor) -> Iterator[tuple[int, Tensor]]:
        for start in range(0, len(rows), _BLOCK_ROWS):
            b = rows[start : start + _BLOCK_ROWS].double() - self.centre
            yield start, torch.cat([b, _shrink(rows) * torch.linalg.vecdot(b, b).unsqueeze(1)], 1)


_INDEXES = WeakTensorKeyDictionary()


def _index_of(rows: Tensor) -> _Index:
    """Return the index of reference rows, made once for as long as they live and nothing is written to them."""
    if rows.is_inference():
        return _Index(rows)  # torch does not count what is written to such a tensor
    state = rows._version, rows.data_ptr()
    known = _INDEXES.get(rows)
    if known is None or known[0] != state:
        known = _INDEXES[rows] = state, _Index(rows)
    return known[1]


def _shrink(rows: Tensor) -> float:
    """Return 1 less twice a bound of the rounding errors of products, squares, sums and centring.

    They are relative to :math:`|a|^2 + |b|^2`.
    """
    return 1 - 2 * (rows.shape[1] + 8) * torch.finfo(torch.float64).eps


def _nearest(x: Tensor, rows: Tensor, counts: Tensor, index: _Index, k: int) -> Tensor:
    sought, place = without_filling(x)
    return _sought(sought, rows, counts, index, k)[place]


def _sought(x: Tensor, rows: Tensor, counts: Tensor, index: _Index, k: int) -> Tensor:
    found = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    open_rows = torch.arange(len(x), device=x.device)
    width = k + _SPARE
    while len(open_rows):
        nearest_rows, complete = _among_candidates(x[open_rows], rows, counts, index, k, min(width, len(rows)))
        found[open_rows[complete]] = nearest_rows[complete]
        open_rows = open_rows[~complete]
        width *= 8
    return found


def _among_candidates(
    x: Tensor, rows: Tensor, counts: Tensor, index: _Index, k: int, width: int
) -> tuple[Tensor, Tensor]:
    """Return the k nearest ``[B, k]`` among ``width`` candidates, and whether no other row can be nearer ``[B]``."""
    candidates, bound = _candidates(x, rows, index, width)
    distance = distances(x, rows, candidates)
    distance, order = distance.sort(dim=1, stable=True)
    candidates = candidates.gather(1, order)
    # The i-th neighbour is the first candidate up to which there are at least i copies.
    reached = counts[candidates].cumsum(1)
    rank = torch.arange(1, k + 1, device=x.device).expand(len(x), k)
    place = torch.searchsorted(reached, rank.contiguous())
    farthest = distance.gather(1, place[:, -1:]).squeeze(1)
    rounding = 1 + (x.shape[1] + 8) * torch.finfo(torch.float64).eps
    # Without other rows the bound is infinite, and the search ends even if a distance is no number.
    return candidates.gather(1, place), (farthest.square() * rounding < bound) | bound.isinf()


def _candidates(x: Tensor, rows: Tensor, index: _Index, width: int) -> tuple[Tensor, Tensor]:
    """Return the rows with the ``width`` lowest bounds ``[B, width]`` by index, and a bound ``[B]`` for all others."""
    if width == len(rows):
        everything = torch.arange(width, device=x.device).expand(len(x), width)
        return everything, torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
    a = x.double() - index.centre
    # The squares of the reference rows enter as one more column of the product.
    query = torch.cat([-2 * a, torch.ones_like(a[:, :1])], 1)
    best = torch.empty(len(x), 0, dtype=torch.float64, device=x.device)
    place = torch.empty(len(x), 0, dtype=torch.int64, device=x.device)
    for start, block in index.blocks(rows):
        bounds = query @ block.T
        lowest, within = bounds.topk(min(width, len(block)), dim=1, largest=False, sorted=False)
        best, place = torch.cat([best, lowest], 1), torch.cat([place, within + start], 1)
        if best.shape[1] > width:
            best, kept = best.topk(width, dim=1, largest=False, sorted=False)
            place = place.gather(1, kept)
    bound = best.amax(1) + _shrink(rows) * a.square().sum(1)
    return place.sort(dim=1).values, bound

"""Local outlier factor: Breunig, Kriegel, Ng and Sander, "LOF", SIGMOD 2000."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Count
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.nn import Networks
from whitecrow.nn.neighbours import distances, nearest, reference_rows, sampling

__all__ = ["LOF"]

# Added to mean reachability distances, so that the density of many equal rows is finite.
_FLOOR = 1e-10


class LOF(Detector):
    r"""Compare the density around a row with that around its nearest training rows.

    With :math:`N_k(x)` the k nearest training rows of x and :math:`d_k(b)` the distance of the training row b to its
    k-th nearest other one,

    .. math::
        \operatorname{reach}_k(x, b) = \max\{d_k(b), \lVert x - b \rVert\}                         \quad (def. 5)
    .. math::
        \operatorname{lrd}_k(x) = \Big(10^{-10} + \operatorname{mean}_{b \in N_k(x)}
        \operatorname{reach}_k(x, b)\Big)^{-1}                                                     \quad (def. 6)
    .. math::
        s(x) = \max_k \operatorname{mean}_{b \in N_k(x)} \frac{\operatorname{lrd}_k(b)}
        {\operatorname{lrd}_k(x)}                                                                  \quad (def. 7)

    A row within a cluster scores about 1, whatever the density of the cluster.

    Parameters
    ----------
    n_neighbours : int, tuple of int or None, default=None
        Number k of neighbours, at most half of the training rows. A row that occurs c times in training is c
        neighbours. None takes 20 for fewer than 1,000 training rows, else 50. With several numbers, such as
        ``(10, 20, 30, 40, 50)``, a row's score is the largest over them, as the paper advises (section 6.2).
    max_rows : int or None, default=20_000
        Up to this many distinct training rows the search is among all of them. Of more, a random sample is searched.
        None searches all of any number, in a time that grows with its square.
    sample_rows : int, default=2_000
        Distinct training rows in this sample. More make neighbourhoods of the same k smaller, so k should grow along.

    Attributes
    ----------
    approximation_ : str
        "exact", or the size of the sample.
    n_neighbours_ : tuple of int
        The numbers k in use, in rising order.

    Notes
    -----
    Novelty detection: new rows are compared with training rows, never with one another. On distinct training rows the
    scores equal the negative of scikit-learn's ``score_samples``. The neighbourhood has k rows even where others lie
    at the distance of the k-th, which the paper would include. A training row with more than k copies has no distance
    to tell its density by, which would make the least departure from it infinitely anomalous: it takes the median
    :math:`d_k` of the others. A row that was trained on finds itself, so its score is lower than that of an equally
    usual new row.

    References
    ----------
    .. [1] M. M. Breunig, H.-P. Kriegel, R. T. Ng, J. Sander, "LOF: Identifying Density-Based Local Outliers", SIGMOD
       2000. doi:10.1145/342009.335388
    """

    paper: ClassVar[str] = "Breunig et al., SIGMOD 2000"
    year: ClassVar[int] = 2000
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    # Distances of a chunk to a block of training rows fit into the caches.
    chunk_rows: ClassVar[int] = 256

    n_neighbours: Count | tuple[Count, ...] | None = None
    max_rows: Count | None = 20_000
    sample_rows: Count = 2_000

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        if self.n_neighbours == ():
            raise ParameterError("LOF(n_neighbours=()): give at least one number of neighbours, or None.")
        reference = reference_rows(X, self.max_rows, self.sample_rows, seed)
        ks = self._resolve_neighbours(reference.n_rows)
        # The nearest row of each is itself, at distance 0; one copy of it is left out.
        index = nearest(reference.rows, reference.rows, reference.counts, ks[-1] + 1)[:, 1:]
        distance = distances(reference.rows, reference.rows, index)
        k_distance = torch.stack([_positive(distance[:, k - 1]) for k in ks], dim=1)
        reach = [_mean_reach(distance, index, k_distance[:, j], k) for j, k in enumerate(ks)]
        return Networks(
            **reference._asdict(),
            k_distance=k_distance,
            density=torch.stack(reach, dim=1).reciprocal(),
            ks=torch.tensor(ks, device=X.device),
        )

    def _resolve_neighbours(self, n: int) -> list[int]:
        given = self.n_neighbours
        if given is None:
            given = 20 if n < 1000 else 50
        numbers = given if isinstance(given, (tuple, list)) else (given,)
        return sorted({min(int(k), max(n // 2, 1)) for k in numbers})

    @property
    def approximation_(self) -> str:
        """What the search is among: "exact" for all training rows, or a sample of them."""
        self._check_fitted()
        net = self.replicas_.replica(0)
        return sampling(len(net.rows), int(net.n_distinct))

    @property
    def n_neighbours_(self) -> tuple[int, ...]:
        """The numbers k in use, in rising order."""
        self._check_fitted()
        return tuple(self.replicas_.replica(0).ks.tolist())

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        ks = net.ks.tolist()
        index = nearest(x, net.rows, net.counts, ks[-1])
        distance = distances(x, net.rows, index)
        factors = [
            net.density[index[:, :k], j].mean(1) * _mean_reach(distance, index, net.k_distance[:, j], k)
            for j, k in enumerate(ks)
        ]
        return torch.stack(factors).amax(0)

    def check_buffers(self, net: Networks) -> None:
        d, whole, real = self.spec_.n_features, torch.int64, torch.float64
        m = len(net.rows) if hasattr(net, "rows") and net.rows.dim() else 0
        n_ks = len(net.ks) if hasattr(net, "ks") and net.ks.dim() else 0
        check_layout(
            "LOF", net, rows=(torch.float32, (m, d)), counts=(whole, (m,)), n_distinct=(whole, ()),
            k_distance=(real, (m, n_ks)), density=(real, (m, n_ks)), ks=(whole, (n_ks,)),
        )  # fmt: skip
        # Counts below 2^31 cannot overflow in their sum.
        if m == 0 or int(net.counts.min()) < 1 or int(net.counts.max()) >= 2**31 or int(net.n_distinct) < m:
            refuse("LOF", "it has no rows, or row counts that disagree")
        if net.ks.tolist() != self._resolve_neighbours(int(net.counts.sum())):
            refuse("LOF", "its numbers of neighbours are not those of its parameters")
        if bool((net.k_distance < 0).any()) or bool((net.density <= 0).any()):
            refuse("LOF", "a distance or a density is negative")


def _positive(k_distance: Tensor) -> Tensor:
    """Return the k-distances ``[M]`` with the median of the positive ones, if there are any, in place of zero."""
    known = k_distance > 0
    return torch.where(known, k_distance, k_distance[known].median()) if known.any() else k_distance


def _mean_reach(distance: Tensor, index: Tensor, k_distance: Tensor, k: int) -> Tensor:
    """Return the mean reachability distance ``[B]`` to the first k of the neighbours, with its floor."""
    return torch.maximum(k_distance[index[:, :k]], distance[:, :k]).mean(1) + _FLOOR

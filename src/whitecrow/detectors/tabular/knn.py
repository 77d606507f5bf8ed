"""Distance to the nearest neighbours: Ramaswamy, Rastogi and Shim, SIGMOD 2000; Angiulli and Pizzuti, PKDD 2002."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count
from whitecrow.core.spec import Kind
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.nn import Networks
from whitecrow.nn.neighbours import distances, nearest, reference_rows, sampling

__all__ = ["KNN"]


class KNN(Detector):
    r"""Remember the training rows; score a row by its distance to the nearest of them.

    With :math:`d_1(x) \le \dots \le d_k(x)` the Euclidean distances to the k nearest training rows,

    .. math::
        s_\text{mean}(x) = \frac{1}{k} \sum_{i=1}^{k} d_i(x), \qquad s_\text{kth}(x) = d_k(x), \qquad
        s_\text{median}(x) = \operatorname{median}_i d_i(x)

    Parameters
    ----------
    n_neighbours : int, default=5
        Number k of neighbours, or all training rows if there are fewer. A row that occurs c times in training is c
        neighbours.
    score_type : {"mean", "kth", "median"}, default="mean"
        Mean distance to the k neighbours [2]_, which ranks best; the distance to the k-th [1]_; or the median.
    max_rows : int or None, default=20_000
        Up to this many distinct training rows the search is among all of them. Of more, a random sample is searched.
        None searches all of any number, in a time that grows with it.
    sample_rows : int, default=5_000
        Distinct training rows in this sample. More follow the training rows closer and take longer to score.

    Attributes
    ----------
    approximation_ : str
        "exact", or the size of the sample.

    Notes
    -----
    The search is exact in float64. A row that was trained on finds itself, at distance 0, so its score is lower than
    that of an equally usual new row.

    References
    ----------
    .. [1] S. Ramaswamy, R. Rastogi, K. Shim, "Efficient Algorithms for Mining Outliers from Large Data Sets", SIGMOD
       2000.
    .. [2] F. Angiulli, C. Pizzuti, "Fast Outlier Detection in High Dimensional Spaces", PKDD 2002.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("table", "image")
    paper: ClassVar[str] = "Ramaswamy et al., SIGMOD 2000"
    year: ClassVar[int] = 2000
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    # Distances of a chunk to a block of training rows fit into the caches.
    chunk_rows: ClassVar[int] = 256

    n_neighbours: Count = 5
    score_type: Literal["mean", "kth", "median"] = "mean"
    max_rows: Count | None = 20_000
    sample_rows: Count = 5_000

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        reference = reference_rows(X, self.max_rows, self.sample_rows, seed)
        k = min(int(self.n_neighbours), reference.n_rows)
        return Networks(**reference._asdict(), k=torch.tensor(k, device=X.device))

    @property
    def approximation_(self) -> str:
        """What the search is among: "exact" for all training rows, or a sample of them."""
        self._check_fitted()
        net = self.replicas_.replica(0)
        return sampling(len(net.rows), int(net.n_distinct))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        distance = distances(x, net.rows, nearest(x, net.rows, net.counts, int(net.k)))
        return distance @ self._weights(distance)

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        # d = sum_j (x_j - r_j)^2 / d splits each distance by feature.
        index = nearest(x, net.rows, net.counts, int(net.k))
        distance = distances(x, net.rows, index)
        share = self._weights(distance) / distance.where(distance > 0, 1.0)
        parts = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
        for i in range(index.shape[1]):
            parts += share[:, i : i + 1] * (x.double() - net.rows[index[:, i]].double()).square()
        return parts

    def _weights(self, distance: Tensor) -> Tensor:
        """Return the weights ``[k]`` of the sorted distances ``[B, k]`` in the score."""
        k = distance.shape[1]
        first, last = {"mean": (0, k), "kth": (k - 1, k), "median": ((k - 1) // 2, k // 2 + 1)}[self.score_type]
        weights = distance.new_zeros(k)
        weights[first:last] = 1 / (last - first)
        return weights

    def check_buffers(self, net: Networks) -> None:
        d, whole = self.spec_.n_features, torch.int64
        m = len(net.rows) if hasattr(net, "rows") and net.rows.dim() else 0
        check_layout(
            "KNN", net, rows=(torch.float32, (m, d)), counts=(whole, (m,)), n_distinct=(whole, ()), k=(whole, ())
        )  # fmt: skip
        # Counts below 2^31 cannot overflow in their sum.
        if m == 0 or int(net.counts.min()) < 1 or int(net.counts.max()) >= 2**31 or int(net.n_distinct) < m:
            refuse("KNN", "it has no rows, or row counts that disagree")
        if not 1 <= int(net.k) <= min(self.n_neighbours, int(net.counts.sum())):
            refuse("KNN", f"its {int(net.k)} neighbours are not from 1 to {self.n_neighbours} of its rows")

"""Nearest neighbours in small samples: Pang, Ting and Albrecht, "LeSiNN", ICDM workshops 2015."""

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from whitecrow.core.parameters import Count, Positive
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.nn import Networks, derive_seed
from whitecrow.nn.neighbours import without_filling

__all__ = ["SampleNeighbours"]

_BLOCK_DISTANCES = 1 << 18  # 2 MiB


class SampleNeighbours(Detector):
    r"""Remember many small samples of the training rows; score a row by its mean distance to the nearest in each.

    With t samples :math:`S_1, \dots, S_t` of :math:`\psi` training rows, each drawn without replacement,

    .. math:: s(x) = \frac1t \sum_{i=1}^{t} \frac1k \sum_{r \in N_k(x, S_i)} \lVert x - r \rVert

    where :math:`N_k(x, S)` are the k rows of S nearest to x.

    Parameters
    ----------
    n_samples : int, default=100
        Number t of samples. The time of scoring grows with its product with ``sample_rows``.
    sample_rows : int, default=16
        Number :math:`\psi` of rows in a sample, at most half of the training rows. Fewer see groups of anomalies
        better, more see fine structure of the normal rows.
    n_neighbours : int, default=1
        Number k of neighbours in a sample, at most ``sample_rows``.
    metric : {"manhattan", "euclidean"}, default="manhattan"
        Distance between rows. The Manhattan distance weighs a large difference in one column less.
    scaling : {"robust", "standard", "minmax", "none"}, default="robust"
        As for every detector; robust, because distances are in units of the scaled columns.
    clip : float or None, default=10.0
        Largest magnitude of a scaled number.

    Notes
    -----
    An anomaly in training is found because few samples hold it, or its like: with a share c of such rows, a sample
    holds none of them with probability :math:`(1 - c)^\psi`. A search among all training rows finds them at once.

    Distances are sums of differences in float64, without the cancellation of the expanded square.

    References
    ----------
    .. [1] G. Pang, K. M. Ting, D. Albrecht, "LeSiNN: Detecting Anomalies by Identifying Least Similar Nearest
       Neighbours", ICDM Workshops 2015. doi:10.1109/ICDMW.2015.62
    .. [2] M. Sugiyama, K. M. Borgwardt, "Rapid Distance-Based Outlier Detection via Sampling", NIPS 2013. Its score
       is this one with a single sample of 20 rows.
    """

    paper: ClassVar[str] = "Pang et al., ICDM workshops 2015"
    year: ClassVar[int] = 2015
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"
    chunk_rows: ClassVar[int] = 256

    n_samples: Count = 100
    sample_rows: Count = 16
    n_neighbours: Count = 1
    metric: Literal["manhattan", "euclidean"] = "manhattan"
    scaling: Literal["standard", "robust", "minmax", "none"] = "robust"
    clip: Positive | None = 10.0

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        n = len(X)
        psi = max(min(int(self.sample_rows), n // 2), 1)
        rng = np.random.default_rng(derive_seed(seed, "samples"))
        drawn = np.stack([rng.choice(n, psi, replace=False, shuffle=False) for _ in range(self.n_samples)])
        return Networks(rows=X[torch.from_numpy(drawn).to(X.device)])

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        k = min(int(self.n_neighbours), net.rows.shape[1])
        rows, place = without_filling(x)
        score = torch.zeros(len(rows), dtype=torch.float64, device=x.device)
        # As many samples at once for few rows as for a whole block: what a sum is depends on its parts.
        for samples in net.rows.split(max(_BLOCK_DISTANCES // (self.chunk_rows * net.rows.shape[1]), 1)):
            distance = self._distances(rows, samples)
            # The minimum alone takes a fraction of the time of a search that returns places too.
            nearest = distance.amin(-1) if k == 1 else distance.topk(k, dim=-1, largest=False).values.mean(-1)
            score += nearest.sum(-1)
        return score[place] / len(net.rows)

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        # Manhattan: |x - r| = sum_j |x_j - r_j|; Euclidean: d = sum_j (x_j - r_j)^2 / d.
        k = min(int(self.n_neighbours), net.rows.shape[1])
        parts = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
        for sample in net.rows:
            nearest = self._distances(x, sample.unsqueeze(0)).squeeze(1).topk(k, dim=-1, largest=False)
            for d, place in zip(nearest.values.unbind(-1), nearest.indices.unbind(-1), strict=True):
                difference = x.double() - sample[place].double()
                if self.metric == "manhattan":
                    parts += difference.abs()
                else:
                    parts += difference.square() / d.where(d > 0, 1.0).unsqueeze(-1)
        return parts / (len(net.rows) * k)

    def _distances(self, x: Tensor, samples: Tensor) -> Tensor:
        """Return the distances ``[B, t, psi]`` of x ``[B, D]`` to the rows of samples ``[t, psi, D]``."""
        return torch.cdist(
            x.double(),
            samples.flatten(0, 1).double(),
            p=1.0 if self.metric == "manhattan" else 2.0,
            compute_mode="donot_use_mm_for_euclid_dist",
        ).unflatten(1, samples.shape[:2])

    def check_buffers(self, net: Networks) -> None:
        psi = net.rows.shape[1] if hasattr(net, "rows") and net.rows.dim() == 3 else 0
        check_layout(
            "SampleNeighbours", net, rows=(torch.float32, (int(self.n_samples), psi, self.spec_.n_features))
        )  # fmt: skip
        if not 1 <= psi <= self.sample_rows:
            refuse("SampleNeighbours", f"its samples have {psi} rows, not 1 to {self.sample_rows}")

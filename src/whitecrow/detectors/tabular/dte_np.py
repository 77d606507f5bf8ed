"""Diffusion time estimation, non-parametric: Livernoche et al., "On Diffusion Modeling ...", ICLR 2024."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.nn import Networks
from whitecrow.nn.neighbours import distances, nearest, reference_rows, sampling

__all__ = ["DTENonParametric"]


class DTENonParametric(Detector):
    r"""Take a row for a training row blurred by noise; score it by the variance of noise that is most probable.

    A row :math:`x_0` diffused to time t is :math:`x = x_0 + \sigma_t \epsilon` with :math:`\epsilon \sim N(0, I)`. If
    no variance is preferred beforehand, then, given x and :math:`x_0`, the variance has an inverse gamma distribution,

    .. math:: p(\sigma^2 \mid x) = \text{Inv-Gamma}\left(\tfrac D2 - 1,\ \tfrac m2\right), \qquad
        s(x) = \arg\max_{\sigma^2} p(\sigma^2 \mid x) = \frac mD, \qquad
        m = \frac1K \sum_{i=1}^{K} \lVert x - x_{(i)} \rVert^2

    where the mean of the squared distances to the K nearest training rows stands for that to the unknown :math:`x_0`.

    Parameters
    ----------
    n_neighbours : int, default=5
        Number K of neighbours, or all training rows if there are fewer. A row that occurs c times in training is c
        neighbours.
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
    The score ranks rows as the root of their mean squared distance to K neighbours does; what it adds is a unit,
    noise variance per scaled feature. The paper scores by the time t whose variance is most probable, one of T
    levels of a bounded variance: rows between two levels, and all rows beyond the last, tie. The variance itself
    orders rows alike and knows no ties. With D up to 2 the distribution cannot be normalised, but has the same mode.

    A row that was trained on finds itself, at distance 0, so its score is lower than that of an equally usual new row.

    References
    ----------
    .. [1] V. Livernoche, V. Jain, Y. Hezaveh, S. Ravanbakhsh, "On Diffusion Modeling for Anomaly Detection", ICLR
       2024, arXiv 2305.18593.
    """

    paper: ClassVar[str] = "Livernoche et al., ICLR 2024"
    year: ClassVar[int] = 2024
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"
    # Distances of a chunk to a block of training rows fit into the caches.
    chunk_rows: ClassVar[int] = 256

    n_neighbours: Count = 5
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
        return distance.square().mean(1) / x.shape[1]

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        index = nearest(x, net.rows, net.counts, int(net.k))
        parts = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
        for i in range(index.shape[1]):
            parts += (x.double() - net.rows[index[:, i]].double()).square()
        return parts / (index.shape[1] * x.shape[1])

    def check_buffers(self, net: Networks) -> None:
        d, whole = self.spec_.n_features, torch.int64
        m = len(net.rows) if hasattr(net, "rows") and net.rows.dim() else 0
        check_layout(
            "DTENonParametric", net, rows=(torch.float32, (m, d)), counts=(whole, (m,)), n_distinct=(whole, ()),
            k=(whole, ()),
        )  # fmt: skip
        # Counts below 2^31 cannot overflow in their sum.
        if m == 0 or int(net.counts.min()) < 1 or int(net.counts.max()) >= 2**31 or int(net.n_distinct) < m:
            refuse("DTENonParametric", "it has no rows, or row counts that disagree")
        if not 1 <= int(net.k) <= min(self.n_neighbours, int(net.counts.sum())):
            refuse("DTENonParametric", f"its {int(net.k)} neighbours are not from 1 to {self.n_neighbours} of its rows")

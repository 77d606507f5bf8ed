"""k-means over windows: Yairi, Kato and Hori, i-SAIRAS 2001; k-means++: Arthur and Vassilvitskii, SODA 2007."""

from typing import ClassVar, Literal

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from whitecrow.core.parameters import Count, Probability
from whitecrow.core.spec import Kind
from whitecrow.data.series import SeriesEncoder
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.detectors._series import SeriesDetector
from whitecrow.detectors.sequence._shape import flatness, shapes
from whitecrow.nn import Networks, derive_seed

__all__ = ["KMeansAD"]


class KMeansAD(SeriesDetector):
    r"""Group the training windows into a few typical shapes; score a window by its distance to the nearest one.

    .. math:: s(x) = \min_k \lVert z - c_k \rVert, \qquad z = \frac{x - \bar x}{\sigma_x}

    with the mean and the standard deviation (divisor n - 1) of the window's own n values, and the centroids
    :math:`c_k` that k-means finds among the z of the training windows.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of centroids.
    shape_only : bool, default=True
        Compare z, so that neither level nor amplitude matters. False compares the windows themselves.
    least_share : float from 0 to 1 (excluded), default=0.01
        Clusters of a smaller share of the windows lose their centroid: they may be anomalies that a centroid of their
        own would call normal. The largest cluster always stays. 0 keeps all, as the benchmark does.
    n_init : int, default=4
        Starts of k-means, of which the best is kept.
    max_windows : int, default=50_000
        Of more training windows as many, evenly spaced, are grouped.
    window : int or "auto", default="auto"
        Steps in a window, W. "auto" takes the second period of the first channel by its autocorrelation, the longer
        one; the first if there is no other. Fixed windows are taken whole.

    Notes
    -----
    A flat window, whose standard deviation is below 1e-6 of the range in training, has z = 0. Channels are scaled each
    by itself before their windows are joined, or the one of the largest numbers would be all that counts.

    References
    ----------
    .. [1] T. Yairi, Y. Kato, K. Hori, "Fault Detection by Mining Association Rules from House-keeping Data",
       i-SAIRAS 2001.
    .. [2] S. Schmidl, P. Wenig, T. Papenbrock, "Anomaly Detection in Time Series: A Comprehensive Evaluation", VLDB
       2022.
    """

    paper: ClassVar[str] = "Yairi et al., i-SAIRAS 2001"
    year: ClassVar[int] = 2001
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    n_clusters: Count = 10
    shape_only: bool = True
    least_share: Probability = 0.01
    n_init: Count = 4
    max_windows: Count = 50_000

    def _encoder(self, kind: Kind) -> SeriesEncoder:
        encoder = super()._encoder(kind)
        encoder.rank = 2
        return encoder

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        X = X[torch.linspace(0, len(X) - 1, min(len(X), int(self.max_windows)), dtype=torch.float64).long()]
        flat = flatness(X, 1)
        rows = self._compared(X, flat).cpu().numpy()
        k = min(int(self.n_clusters), len(np.unique(rows, axis=0)))
        state = derive_seed(seed, "k-means") % 2**32
        found = KMeans(k, n_init=int(self.n_init), random_state=state).fit(rows)  # pyright: ignore[reportArgumentType]
        sizes = np.bincount(np.asarray(found.labels_), minlength=k)
        kept = (sizes >= float(self.least_share) * len(rows)) | (sizes == sizes.max())
        return Networks(centroids=torch.from_numpy(found.cluster_centers_[kept]).to(X.device), flat=flat)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        z = self._compared(x, net.flat)
        # From differences: the expanded square loses the digits of a window that is a centroid.
        return torch.stack([torch.linalg.vector_norm(z - c, dim=1) for c in net.centroids]).amin(0)

    def _compared(self, x: Tensor, flat: Tensor) -> Tensor:
        """Return what the distances are between, float64 [B, W * C]."""
        if not self.shape_only:
            return x.double()
        n = x.shape[1]
        return shapes(x, flat) * ((n - 1) / n) ** 0.5

    def check_buffers(self, net: Networks) -> None:
        check_layout(
            "KMeansAD", net, centroids=(torch.float64, (None, self.spec_.n_features)), flat=(torch.float64, (1,))
        )
        if not len(net.centroids) or float(net.flat) < 0:
            refuse("KMeansAD", "it has no centroids, or a negative threshold of flatness")

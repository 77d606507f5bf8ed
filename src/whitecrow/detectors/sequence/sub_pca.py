"""Principal components of windows: Shyu et al., 2003; first of the univariate ranking of TSB-AD, NeurIPS 2024."""

from numbers import Integral
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Count, Range
from whitecrow.data.series.folding import Fold
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.detectors._series import SeriesDetector
from whitecrow.nn import Networks

__all__ = ["SubPCA"]

_BLOCK_ROWS = 16_384
# Below this share of the largest variance a direction holds nothing but the rounding of float32 input.
_NO_VARIANCE = 1e-12
_MAIN_SHARE = 0.9  # of the variance: what a reconstruction is made of
_BENCHMARK_SHARE = 0.25  # for the benchmark's score of several channels


class SubPCA(SeriesDetector):
    r"""Find the directions in which the windows of the training steps vary; score windows by how far they lie out.

    A window x of W steps is standardised step by step, :math:`z = (x - \mu) / \sigma`. With the principal directions
    :math:`v_j` of z, their variances :math:`\lambda_j` and their shares of the variance :math:`r_j`,

    .. math::
        s_\text{mahalanobis}(x) = \sum_{j \le k} \frac{(z^\top v_j)^2}{\lambda_j}, \qquad
        s_\text{reconstruction}(x) = \Big\lVert z - \sum_{j \le k} (z^\top v_j) v_j \Big\rVert^2, \qquad
        s_\text{pyod}(x) = \sum_{j \le k} \frac{\lVert z - v_j \rVert}{r_j}

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number k of directions; or, as a float up to 1, the share of the variance that they hold at least. None takes
        all; 90 % of the variance for ``score_type="reconstruction"``; and for "pyod", where there are several channels,
        25 %, as the benchmark does.
    score_type : {"mahalanobis", "reconstruction", "pyod"}, default="mahalanobis"
        *mahalanobis*: squared distance in units of the standard deviations. *reconstruction*: squared distance to the
        subspace of the k directions. *pyod*: distances to the tips of the unit vectors :math:`v_j`, the score of PyOD
        and of the benchmark. It is mostly the norm of z, so a level or a trend raises it, and it depends on the signs
        of the :math:`v_j`: the largest loading of each is made positive.
    standardise : bool, default=True
        Whether each step of the window is divided by its standard deviation :math:`\sigma` over the windows. Where
        windows are in phase, as heartbeats are, the steps that hardly vary then weigh as much as those that do.
    fold : {"last", "centre", "mean", "median", "max"}, default="centre"
        How scores of windows become scores of steps.

    Notes
    -----
    Fitted and scored in float64. Where all directions are wanted, but the training windows do not vary in all, a
    departure from those that they span counts with the variance :math:`10^{-12} \lambda_1`: it is news. The score
    "pyod" leaves such directions out, where PyOD divides by what rounding makes of their variances.

    References
    ----------
    .. [1] M.-L. Shyu, S.-C. Chen, K. Sarinnapakorn, L. Chang, "A Novel Anomaly Detection Scheme Based on Principal
       Component Classifier", ICDM Foundations and New Directions of Data Mining Workshop, 2003.
    .. [2] Q. Liu, J. Paparrizos, "The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection
       Benchmark", NeurIPS 2024.
    """

    paper: ClassVar[str] = "Shyu et al., ICDM workshop 2003"
    year: ClassVar[int] = 2003
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    n_components: Count | Annotated[float, Range(0, 1, low_open=True)] | None = None
    score_type: Literal["mahalanobis", "reconstruction", "pyod"] = "mahalanobis"
    standardise: bool = True
    fold: Fold = "centre"

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        d = X.shape[1]
        mean, scale = _moments(X)
        scale = scale if self.standardise else torch.ones_like(scale)
        variances, directions = _principal(X, mean, scale)
        k = self._n_kept(variances, d)
        largest = float(variances[0]) if len(variances) else 1.0
        whole = k == len(variances) < d
        along, off = {
            "mahalanobis": (variances[:k].reciprocal(), 1 / (_NO_VARIANCE * largest) if whole else 0.0),
            "reconstruction": (torch.zeros_like(variances[:k]), 1.0),
            "pyod": (variances.sum() / variances[:k], 0.0),
        }[self.score_type]
        return Networks(
            mean=mean, scale=scale, directions=directions[:, :k].contiguous(), weight_along=along,
            weight_off=mean.new_tensor(off),
        )  # fmt: skip

    def _n_kept(self, variances: Tensor, d: int) -> int:
        wanted = self.n_components
        if wanted is None:
            of_channels = 1.0 if self.spec_.shape[1] == 1 else _BENCHMARK_SHARE
            wanted = {"mahalanobis": 1.0, "reconstruction": _MAIN_SHARE, "pyod": of_channels}[self.score_type]
        if isinstance(wanted, Integral):
            if wanted > d:
                raise ParameterError(
                    f"SubPCA(n_components={wanted}): a window has {d} values. Accepted are 1 to {d}, or a share of "
                    "the variance such as 0.9."
                )
            return min(int(wanted), len(variances))
        if wanted == 1:
            return len(variances)
        shares = variances.cumsum(0) / variances.sum()
        return min(int((shares < wanted).sum()) + 1, len(variances))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        z = (x.double() - net.mean) / net.scale
        t = z @ net.directions
        if self.score_type == "pyod":
            # The square of the distance between z and a unit vector.
            apart = z.square().sum(1, keepdim=True) - 2 * t + 1
            return apart.clamp_min(0).sqrt() @ net.weight_along
        off = z - t @ net.directions.mT
        return t.square() @ net.weight_along + net.weight_off * off.square().sum(1)

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor | None:
        if self.score_type != "reconstruction":
            return None  # all directions rebuild everything
        z = (x.double() - net.mean) / net.scale
        return (net.mean + net.scale * (z @ net.directions @ net.directions.mT)).float()

    def check_buffers(self, net: Networks) -> None:
        d, real = self.spec_.n_features, torch.float64
        k = net.weight_along.shape[-1] if hasattr(net, "weight_along") and net.weight_along.dim() else 0
        check_layout(
            "SubPCA", net, mean=(real, (d,)), scale=(real, (d,)), directions=(real, (d, k)),
            weight_along=(real, (k,)), weight_off=(real, ()),
        )  # fmt: skip
        if k > d or bool((net.weight_along < 0).any()) or float(net.weight_off) < 0 or bool((net.scale <= 0).any()):
            refuse("SubPCA", f"it has {k} directions of {d} values, or weights or scales out of range")


def _moments(X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation (divisor N) of each column; 1 where it is constant."""
    mean = X.mean(0, dtype=torch.float64)
    squares = torch.stack([(block.double() - mean).square().sum(0) for block in X.split(_BLOCK_ROWS)]).sum(0)
    constant = X.amin(0) == X.amax(0)
    return mean, torch.where(constant, 1.0, (squares / len(X)).sqrt())


def _principal(X: Tensor, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances ``[r]`` in falling order and the directions ``[D, r]`` that have any."""
    n, d = X.shape
    if n < d:
        _, singular, rows = torch.linalg.svd((X.double() - mean) / scale, full_matrices=False)
        variances, directions = singular.square() / (n - 1), rows.mT
    else:
        covariance = mean.new_zeros(d, d)
        for block in X.split(_BLOCK_ROWS):
            rows = (block.double() - mean) / scale
            covariance.addmm_(rows.mT, rows, alpha=1 / (n - 1))
        variances, directions = (values.flip(-1) for values in torch.linalg.eigh(covariance))
    kept = variances > _NO_VARIANCE * variances[0]
    variances, directions = variances[kept], directions[:, kept]
    if not len(variances):
        return variances, directions
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    return variances, directions * largest.sign()

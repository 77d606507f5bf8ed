"""PaDiM: Defard et al., "PaDiM: a Patch Distribution Modeling Framework", ICPR workshops 2021."""

from collections.abc import Iterable
from itertools import chain
from typing import ClassVar, Literal

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, Positive
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.detectors._patches import PatchDetector, block_rows, joined
from whitecrow.nn import Networks, derive_seed

__all__ = ["PaDiM"]

_RIDGE, _RANDOM_RIDGE = 0.01, 0.1


class PaDiM(PatchDetector):
    r"""Learn one Gaussian of patch features per place; an image is as anomalous as its least likely patch.

    A patch is described by maps of a frozen network, joined on the finest grid, of which a random choice of d
    channels is kept. With the mean and the covariance of the training images at place (i, j),

    .. math::
        \Sigma_{ij} = \frac{1}{n - 1} \sum_k (x_{ij}^k - \mu_{ij}) (x_{ij}^k - \mu_{ij})^\top + \epsilon I   \quad
        (eq. 1)
    .. math::
        M(x_{ij}) = \sqrt{(x_{ij} - \mu_{ij})^\top \Sigma_{ij}^{-1} (x_{ij} - \mu_{ij})}                     \quad
        (eq. 2)

    The map of these is enlarged and smoothed; the score is its largest value.

    Parameters
    ----------
    n_channels : int, default=100
        Number d of channels, or all if there are fewer. Memory is places x d x d numbers.
    ridge : float or None, default=None
        The :math:`\epsilon` that makes every covariance invertible. None takes 0.01, as in the paper, or 0.1 for the
        features of the random network, which have variance 1.
    score_type : {"max", "mean"}, default="max"
        Largest value of the map, or its mean, for images that are anomalous as a whole.

    Notes
    -----
    For fewer than 2 d training images the covariances are shrunk towards multiples of the identity by the oracle
    approximating rule [2]_, which is made for Gaussians and needs no second pass over the images.

    References
    ----------
    .. [1] T. Defard, A. Setkov, A. Loesch, R. Audigier, "PaDiM: a Patch Distribution Modeling Framework for Anomaly
       Detection and Localization", ICPR workshops 2021, arXiv 2011.08785.
    .. [2] Y. Chen, A. Wiesel, Y. C. Eldar, A. O. Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE
       Transactions on Signal Processing 58, 2010.
    """

    paper: ClassVar[str] = "Defard et al., ICPR workshops 2021"
    year: ClassVar[int] = 2021
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"
    reductions: ClassVar[tuple[int, ...]] = (4, 8, 16)

    n_channels: Count = 100
    ridge: Positive | None = None
    score_type: Literal["max", "mean"] = "max"

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        net = self._begin(X, seed)
        n_all = sum(m.shape[1] for m in self._features(net, X[:1]))
        generator = torch.Generator().manual_seed(derive_seed(seed, "padim"))
        chosen = torch.randperm(n_all, generator=generator)[: self.n_channels].sort().values.to(X.device)
        mean, covariance = _moments(self._patches(net, block, chosen)[0] for block in X.split(block_rows(X)))
        d = len(chosen)
        if len(X) < 2 * d:
            covariance = _shrunk(covariance, len(X))
        usual = _RANDOM_RIDGE if self._extractor(net).is_random else _RIDGE
        covariance.diagonal(dim1=1, dim2=2).add_(usual if self.ridge is None else self.ridge)
        factor = torch.linalg.cholesky(covariance)
        identity = torch.eye(d, dtype=factor.dtype, device=X.device)
        whitening = torch.linalg.solve_triangular(factor, identity, upper=False)
        return Networks(
            **dict(net.tensors()), channels=chosen, centre=mean.float(), whitening=whitening.float().contiguous()
        )

    def _patches(self, net: Networks, x: Tensor, chosen: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return the chosen channels of the patches, ``[h * w, B, d]``, and the grid (h, w)."""
        features = joined(self._features(net, x), "nearest")[:, chosen]
        h, w = features.shape[-2:]
        return features.flatten(2).permute(2, 0, 1), (h, w)

    def map_batch(self, net: Networks, x: Tensor) -> Tensor:
        patches, grid = self._patches(net, x, net.channels)
        whitened = (patches - net.centre.unsqueeze(1)) @ net.whitening.mT
        return self._place(torch.linalg.vector_norm(whitened, dim=2).T, grid)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        maps = self.map_batch(net, x)
        return maps.amax((1, 2)) if self.score_type == "max" else maps.mean((1, 2))

    def check_buffers(self, net: Networks) -> None:
        d = net.channels.shape[-1] if hasattr(net, "channels") and net.channels.dim() else 0
        real, whole = torch.float32, torch.int64
        layout = {"channels": (whole, (d,)), "centre": (real, (None, d)), "whitening": (real, (None, d, d))}
        check_layout("PaDiM", net, **self._extractor_layout(), **layout)
        self._restore_extractor(net)
        features = joined(self._features(net, torch.zeros(1, self.spec_.n_features)), "nearest")
        n, places = features.shape[1], features[0, 0].numel()
        if d != min(n, self.n_channels) or bool(((net.channels < 0) | (net.channels >= n)).any()):
            refuse("PaDiM", f"its channels are not {min(n, self.n_channels)} of the {n}")
        if not len(net.centre) == len(net.whitening) == places:
            refuse("PaDiM", f"it has not one Gaussian for each of the {places} places")


def _moments(parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return means ``[P, d]`` and covariances ``[P, d, d]`` of patches that come as ``[P, b, d]``, in float64."""
    rest = iter(parts)
    first = next(rest)
    n_places, _, d = first.shape
    # Sums around the first patch: where features lie far from 0, their squares would leave no digits.
    origin = first[:, :1].double()
    total, products, count = origin.new_zeros(n_places, d), origin.new_zeros(n_places, d, d), 0
    for part in chain([first], rest):
        values = part.double() - origin
        total += values.sum(1)
        products.baddbmm_(values.mT, values)
        count += values.shape[1]
    mean = total / count
    covariance = (products - count * mean.unsqueeze(2) * mean.unsqueeze(1)) / (count - 1)
    return origin.squeeze(1) + mean, covariance


def _shrunk(covariance: Tensor, n: int) -> Tensor:
    r"""Return covariances ``[P, d, d]`` of n samples, shrunk towards :math:`\operatorname{tr}(S) / d \cdot I`."""
    d = covariance.shape[-1]
    square = covariance.square().mean((1, 2))
    level = covariance.diagonal(dim1=1, dim2=2).mean(1)
    share = (square + level.square()) / ((n + 1) * (square - level.square() / d)).clamp_min(1e-300)
    share = torch.where(square > 0, share, 1.0).clamp(max=1.0).view(-1, 1, 1)
    target = level.view(-1, 1, 1) * torch.eye(d, dtype=covariance.dtype, device=covariance.device)
    return (1 - share) * covariance + share * target

"""PatchCore: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022."""

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from whitecrow.core.parameters import Count, NonNegative, Range
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.detectors._patches import PatchDetector, block_rows, joined
from whitecrow.nn import Networks, derive_seed
from whitecrow.nn.coreset import k_centres, sparse_projection
from whitecrow.nn.neighbours import distances, nearest

__all__ = ["PatchCore"]

_MAX_CANDIDATE_VALUES = 1 << 26
_PROJECTED = 128
_SAMPLE = 4096
_ISOLATION = 5
_QUERY_ROWS = 256


class PatchCore(PatchDetector):
    r"""Remember patches of normal images; an image is as anomalous as its most isolated patch.

    A patch is described by two maps of a frozen network, averaged over 3 x 3 places and joined on the finer grid. A
    coreset of the training patches is the memory bank :math:`M`. With :math:`q` the patch of an image that lies
    farthest from the bank, :math:`m^*` its nearest entry, and :math:`N_b(m^*)` the b entries nearest to that,

    .. math::
        s^* = \max_{p} \min_{m \in M} \lVert p - m \rVert = \lVert q - m^* \rVert                     \quad (eq. 6)
    .. math::
        s = \Big(1 - \frac{\exp \lVert q - m^* \rVert}{\sum_{m \in N_b(m^*)} \exp \lVert q - m \rVert}\Big) s^*
                                                                                                      \quad (eq. 7)

    Parameters
    ----------
    ratio : float from 0 (excluded) to 1, default=0.1
        Share of the training patches that the bank keeps.
    min_bank, max_bank : int, default=2_000 and 10_000
        Fewest patches to keep, where there are so many, and most. Scoring takes a time that grows with the bank.
    n_neighbours : int, default=9
        Number b of entries that the score is weighted by. 1 leaves the distance as it is.
    trim : float from 0 to 0.5, default=0
        Share of the training patches left out before the coreset is chosen: the most isolated ones, which the
        coreset would otherwise be sure to keep. For training images that may be anomalous.
    position_weight : float, default=0
        How much the place of a patch counts. At 1, moving across the image counts as much as the usual distance of a
        patch from the mean of all. For objects that always lie in the same place.

    Notes
    -----
    The bank is chosen by greedy k-centre selection, on features brought to 128 dimensions by a sparse random
    projection where there are more. Isolation is the distance to the fifth nearest patch among a sample of 4,096
    patches from other images. Distances are exact, in float64. Training patches in the bank lie at distance 0, so
    training images score lower than equally usual new ones: the clean regime sets the threshold on images held out.

    References
    ----------
    .. [1] K. Roth, L. Pemula, J. Zepeda, B. Schölkopf, T. Brox, P. Gehler, "Towards Total Recall in Industrial
       Anomaly Detection", CVPR 2022, arXiv 2106.08265.
    """

    paper: ClassVar[str] = "Roth et al., CVPR 2022"
    year: ClassVar[int] = 2022
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"
    reductions: ClassVar[tuple[int, ...]] = (8, 16)

    ratio: Annotated[float, Range(0, 1, low_open=True)] = 0.1
    min_bank: Count = 2_000
    max_bank: Count = 10_000
    n_neighbours: Count = 9
    trim: Annotated[float, Range(0, 0.5)] = 0.0
    position_weight: NonNegative = 0.0

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        generator = torch.Generator().manual_seed(derive_seed(seed, "patchcore"))
        net = self._begin(X, seed)
        patches, image = self._candidates(net, X, generator)
        kept = dict(net.tensors())
        if self.position_weight:
            # The last two columns are the place, from 0 to 1.
            spread = patches[:, :-2].var(0, correction=0).sum().sqrt()
            kept["unit"] = (self.position_weight * spread).clamp_min(1e-6)
            patches[:, -2:] *= kept["unit"]
        if self.trim:
            isolation = _isolation(patches, image, generator)
            n = max(1, round((1 - self.trim) * len(patches)))
            patches = patches[isolation.topk(n, largest=False).indices.sort().values]
        return Networks(**kept, bank=self._coreset(patches, generator))

    def _candidates(self, net: Networks, X: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return training patches ``[n, C]``, all or a random sample of very many, and the image of each ``[n]``."""
        _, n, c = self._patches(net, X[:1])[0].shape
        chosen = torch.ones(len(X), n, dtype=torch.bool)
        surplus = torch.randperm(chosen.numel(), generator=generator)[_MAX_CANDIDATE_VALUES // c :]
        chosen.view(-1)[surplus] = False
        chosen = chosen.to(X.device)
        patches, step, end = X.new_empty(int(chosen.sum()), c), block_rows(X), 0
        for rows, mask in zip(X.split(step), chosen.split(step), strict=True):
            start, end = end, end + int(mask.sum())
            patches[start:end] = self._patches(net, rows)[0][mask]
        return patches, chosen.nonzero()[:, 0]

    def _coreset(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """Return the rows of the bank ``[M, C]``."""
        n, d = patches.shape
        wanted = min(max(round(self.ratio * n), self.min_bank), self.max_bank, n)
        if wanted == n:
            return patches
        rows = patches
        if d > _PROJECTED:
            rows = patches @ sparse_projection(d, _PROJECTED, generator).to(patches.device)
        return patches[k_centres(rows, wanted).sort().values]

    def _patches(self, net: Networks, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return the patches ``[B, h * w, C]`` of rows, and the grid (h, w)."""
        maps = [avg_pool2d(m, 3, 1, 1, count_include_pad=False) for m in self._features(net, x)]
        features = joined(maps, "bilinear")
        h, w = features.shape[-2:]
        patches = features.flatten(2).mT
        if self.position_weight:
            sides = [torch.linspace(0, 1, n, device=x.device) for n in (h, w)]
            places = torch.cartesian_prod(*sides).reshape(1, h * w, 2).expand(len(x), -1, -1)
            patches = torch.cat([patches, places * net.unit if hasattr(net, "unit") else places], 2)
        return patches, (h, w)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        patches, _ = self._patches(net, x)
        distance, index = self._search(net, patches)
        most, place = distance.max(1)
        b = min(int(self.n_neighbours), len(net.bank))
        if b == 1:
            return most
        rows = torch.arange(len(x), device=x.device)
        entry = net.bank[index[rows, place]]
        around = distances(patches[rows, place], net.bank, nearest(entry, net.bank, _once(net.bank), b))
        # The largest exponent is taken out by logsumexp, so that no distance is too large.
        weight = -torch.expm1(most - around.logsumexp(1))
        return weight.clamp_min(0) * most

    def map_batch(self, net: Networks, x: Tensor) -> Tensor:
        patches, grid = self._patches(net, x)
        return self._place(self._search(net, patches)[0], grid)

    def patch_batch(self, net: Networks, x: Tensor) -> Tensor:
        patches, grid = self._patches(net, x)
        return patches.unflatten(1, grid)

    def _search(self, net: Networks, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances ``[B, P]`` of patches to the bank, and the nearest entries."""
        flat = patches.flatten(0, 1)
        index = nearest(flat, net.bank, _once(net.bank), 1)
        distance = torch.linalg.vector_norm(flat.double() - net.bank[index.squeeze(1)].double(), dim=1)
        return distance.view(patches.shape[:2]), index.view(patches.shape[:2])

    def check_buffers(self, net: Networks) -> None:
        layout = self._extractor_layout() | {"bank": (torch.float32, (None, None))}
        if self.position_weight:
            layout["unit"] = (torch.float32, ())
        check_layout("PatchCore", net, **layout)
        self._restore_extractor(net)
        found = self._patches(net, torch.zeros(1, self.spec_.n_features))[0].shape[2]
        if len(net.bank) == 0 or net.bank.shape[1] != found:
            refuse("PatchCore", f"its bank is {list(net.bank.shape)}, and patches have {found} features")


def _once(bank: Tensor) -> Tensor:
    """Return the count of each entry, one."""
    return torch.ones(len(bank), dtype=torch.int64, device=bank.device)


def _isolation(patches: Tensor, image: Tensor, generator: torch.Generator) -> Tensor:
    """Return each patch's squared distance ``[n]`` to the fifth nearest of a sample of patches of other images."""
    sample = torch.randperm(len(patches), generator=generator)[:_SAMPLE].to(patches.device)
    among, owners = patches[sample], image[sample]
    found = []
    for rows, own in zip(patches.split(_QUERY_ROWS), image.split(_QUERY_ROWS), strict=True):
        distance = torch.cdist(rows, among).masked_fill_(own.unsqueeze(1) == owners, torch.inf)
        found.append(distance.topk(min(_ISOLATION, len(sample)), largest=False).values.amax(1))
    return torch.cat(found)

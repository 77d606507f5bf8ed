"""Patch memory: Park and Kang, "PaAno: Patch-Based Representation Learning ...", ICLR 2026, arXiv 2602.01359."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, normalize, relu

from whitecrow.core.parameters import Count, Natural, NonNegative, Positive, Probability
from whitecrow.core.spec import InputSpec
from whitecrow.data.series.encoder import Window
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.detectors._prepared import Prepared
from whitecrow.detectors._series import DeepSeriesDetector
from whitecrow.nn import Networks
from whitecrow.train import Batch, Execution, Objective, Replicas, Stage
from whitecrow.train.plan import Schedule

__all__ = ["PatchMemory"]

_KERNELS = (7, 5, 3, 3)
_HEAD = 256
_STATISTICS_ROWS = 512
_BLOCK_ROWS = 512
_SHIFT = 2  # steps between an anchor and its positive
_STRANGERS = 5  # false pairs for each true one
_LEAST_VARIANCE = 1e-5  # added to that of a patch
_LONGEST = 1.001  # description, which has the length 1 but for rounding


class PatchMemory(DeepSeriesDetector):
    r"""Remember how a small convolutional network describes the training patches; score by the nearest of them.

    .. math:: s(x) = \frac{1}{k} \sum_{i=1}^{k} \bigl(1 - \cos(f(x), m_{(i)})\bigr)

    with the k descriptions :math:`m_{(i)}` in the memory that lie nearest to that of the patch x, a window whose
    channels are each normalised by themselves. f ends in the mean over the steps of the patch.

    Parameters
    ----------
    train : {"none", "pretext", "triplet"}, default="none"
        *none*: f keeps its random weights. *pretext*: a classifier learns whether two pieces of series follow one
        another. *triplet*: projections of a patch shifted by two steps must lie nearer, by a margin in cosine distance,
        than those of another patch; in the first epochs it takes turns with the pretext.
    n_neighbours : int, default=3
        k.
    max_bank : int, default=10_000
        Of more training patches as many, evenly spaced, are remembered.
    revin : bool, default=True
        Whether each channel of a patch is normalised to mean 0 and variance 1. False keeps level and amplitude, whose
        changes are anomalies then.
    channels : tuple of int, default=(128, 256, 128, 64)
        Widths of the convolutions, whose kernels are 7, 5, 3 and 3 steps wide (3 for any more). The last is the length
        of a description.
    margin : float, default=0.5
        m of the triplets.
    pretext_epochs : int, default=2
        Epochs in which the pretext takes part in ``train="triplet"``.
    window : int or "auto", default=64
        Steps in a patch. The authors take 64 for one channel and 96 for several.
    batch_size : int, default=512
        Patches per step; at most a tenth of the training patches (but no fewer than 8).
    epochs : int or None, default=None
        Most passes over the training patches. None takes as many as make about 200 steps.
    lr : float or None, default=1e-4
        Learning rate of Adam.
    lr_schedule : {"constant", "cosine"}, default="cosine"
        Whether the rate stays, or falls to zero along half a cosine.
    weight_decay : float, default=1e-4
        Factor of an L2 penalty on the weights.
    validation : float from 0 to 1 (excluded), default=0
        Share of the training patches, the last ones, that stop the training early.

    Notes
    -----
    Departures from the paper: training sees one patch at a time, so the pieces that it compares are crops of patches,
    shifted by two steps (triplet) or halves (pretext); the negative is the next patch of the batch; the weight of the
    pretext does not fade; the memory holds training patches, not centroids of them. Batch normalisation takes its
    statistics from 512 training patches when the weights are final. The released code takes its negatives from a
    matrix whose diagonal is infinite, so that the triplet loss is 0 throughout and only the pretext trains.

    For the threshold the training steps are scored by patches that do not overlap theirs. ``anomaly_score`` of the
    same steps finds each patch in the memory, at distance 0.

    References
    ----------
    .. [1] J. Park, S. Kang, "PaAno: Patch-Based Representation Learning for Time-Series Anomaly Detection", ICLR
       2026, arXiv 2602.01359.
    .. [2] K. Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, arXiv 2106.08265: the
       memory of patches, for images.
    """

    execution: ClassVar[Execution] = "loop"
    learnt: ClassVar[tuple[str, ...]] = ("memory",)
    aimed_steps: ClassVar[int] = 200
    least_epochs: ClassVar[int] = 1
    chunk_rows: ClassVar[int] = 128
    paper: ClassVar[str] = "Park and Kang, ICLR 2026"
    year: ClassVar[int] = 2026
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    train: Literal["none", "pretext", "triplet"] = "none"
    n_neighbours: Count = 3
    max_bank: Count = 10_000
    revin: bool = True
    channels: tuple[Count, ...] = (128, 256, 128, 64)
    margin: Positive = 0.5
    pretext_epochs: Natural = 2
    window: Window = 64
    batch_size: Count = 512
    lr: Positive | None = 1e-4
    lr_schedule: Schedule = "cosine"
    weight_decay: NonNegative = 1e-4
    validation: Probability = 0.0

    def networks(self, spec: InputSpec) -> Networks:
        encoder = _Encoder(spec.shape[1], self.channels)
        width = self.channels[-1]
        if self.train == "none":
            return Networks(encoder=encoder.requires_grad_(False))
        # A linear classifier could not compare the two halves of its input.
        heads = {"classifier": _head(2 * width, 1)}
        if self.train == "triplet":
            heads["projection"] = _head(width, _HEAD)
        return Networks(encoder=encoder, **heads)

    def stages(self) -> Sequence[Stage]:
        pretext = Objective("pretext_loss", ("encoder", "classifier"))
        if self.train == "none":
            return ()
        if self.train == "pretext":
            return (Stage((pretext,)),)
        triplet = Objective("triplet_loss", ("encoder", "projection"))
        first = Stage((triplet, pretext), int(self.pretext_epochs), "pretext")
        return (first, Stage((triplet,))) if self.pretext_epochs else (Stage((triplet,)),)

    def pretext_loss(self, net: Networks, batch: Batch) -> Tensor:
        """Return the cross-entropy of halves of one patch against halves of two."""
        return batch.mean(self._pretext(net, batch.x))

    def triplet_loss(self, net: Networks, batch: Batch) -> Tensor:
        """Return the hinge of crops of one patch against another patch."""
        return batch.mean(self._triplet(net, batch.x))

    def row_losses(self, net: Networks, x: Tensor) -> Tensor:
        return self._triplet(net, x) if self.train == "triplet" else self._pretext(net, x)

    def _pretext(self, net: Networks, x: Tensor) -> Tensor:
        steps = x.shape[1] // self.spec_.shape[1]
        first, second = self._pieces(net, x, max(steps // 2, 1))
        shifts = range(min(_STRANGERS, max(len(x) - 1, 1)) + 1)
        pairs = torch.stack([torch.cat([first, second.roll(k, 0)], 1) for k in shifts], 1)
        answers = net.classifier(pairs).squeeze(-1)
        truth = torch.zeros_like(answers)
        truth[:, 0] = 1
        return binary_cross_entropy_with_logits(answers, truth, reduction="none").mean(1)

    def _triplet(self, net: Networks, x: Tensor) -> Tensor:
        steps = x.shape[1] // self.spec_.shape[1]
        anchor, positive = (net.projection(d) for d in self._pieces(net, x, max(steps - _SHIFT, 1)))
        # The order of the batch is random.
        apart = cosine_similarity(anchor, positive, -1) - cosine_similarity(anchor, positive.roll(1, 0), -1)
        return relu(float(self.margin) - apart)

    def _pieces(self, net: Networks, x: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Return descriptions of the first and of the last ``length`` steps of patches, ``[B, E]`` each."""
        patches = x.unflatten(1, (-1, self.spec_.shape[1])).mT
        both = torch.cat([patches[..., :length], patches[..., -length:]])
        first, last = self._encoded(net, both).chunk(2)
        return first, last

    def _encoded(self, net: Networks, patches: Tensor) -> Tensor:
        """Return the descriptions ``[B, E]`` of patches ``[B, C, n]``."""
        if self.revin:
            variance, mean = torch.var_mean(patches, -1, correction=0, keepdim=True)
            patches = (patches - mean) / (variance + _LEAST_VARIANCE).sqrt()
        return net.encoder(patches)

    def finish(self, net: Networks, X: Tensor) -> None:
        some = X[torch.from_numpy(_evenly(len(X), _STATISTICS_ROWS)).to(X.device)]
        net.encoder.forget_statistics()
        net.encoder.train()
        self._encoded(net, some.unflatten(1, self.spec_.shape).mT)
        net.encoder.eval()

    # ---- the memory -------------------------------------------------------------------------------------------------

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...], rows: Tensor | None = None) -> None:
        super()._fit_networks(X, y, seeds, rows)
        replicas = self.replicas_
        places = torch.arange(len(X), device=X.device) if rows is None else rows
        kept = X[places[torch.from_numpy(self._remembered(len(places))).to(X.device)]]
        replicas.train(False)
        nets = [replicas.replica(r) for r in range(replicas.n)]
        with torch.no_grad():
            banks = torch.stack([self._described(net, kept) for net in nets])
        template = deepcopy(nets[0])
        template.add_module("memory", Networks(bank=banks[0]))
        self.replicas_ = Replicas(template, {**replicas.stacked, "memory.bank": banks}, "loop")

    def _remembered(self, n: int) -> NDArray[np.int64]:
        """Return the places of the training patches that are remembered out of n."""
        return _evenly(n, int(self.max_bank))

    def _described(self, net: Networks, x: Tensor) -> Tensor:
        """Return the descriptions ``[B, E]`` of patches ``[B, W * C]``, of length 1."""
        parts = [self._encoded(net, part.unflatten(1, self.spec_.shape).mT) for part in x.split(_BLOCK_ROWS)]
        return normalize(torch.cat(parts), dim=1)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return self._distances(self._described(net, x), net.memory.bank)

    def _distances(self, described: Tensor, bank: Tensor, excluded: Tensor | None = None) -> Tensor:
        apart = (1 - described.double() @ bank.double().mT).clamp_min(0)
        if excluded is not None:
            apart = apart.masked_fill(excluded, 1.0)  # that of descriptions that share nothing
        k = min(int(self.n_neighbours), len(bank))
        return apart.topk(k, dim=1, largest=False).values.mean(1)

    def _fit_scores(self, prepared: Prepared) -> NDArray[np.float64]:
        if prepared.given.form == "windows":
            return super()._fit_scores(prepared)
        w = self.spec_.shape[0]
        theirs = torch.from_numpy(prepared.fitting[self._remembered(len(prepared.fitting))])

        def hook(net: Networks, steps: Tensor, first: int) -> Tensor:
            patches = steps.unfold(0, w, 1).mT
            places = torch.arange(first, first + len(patches), device=steps.device)
            return torch.cat(
                [
                    self._distances(
                        self._described(net, patches[part - first].flatten(1)),
                        net.memory.bank,
                        (part[:, None] - theirs.to(steps.device)).abs() < w,
                    )
                    for part in places.split(_BLOCK_ROWS)
                ]
            )

        return self._segment_scores(prepared.given, hook).mean(0)

    def check_buffers(self, net: Networks) -> None:
        check_layout("PatchMemory", net.memory, bank=(torch.float32, (None, self.channels[-1])))
        bank = net.memory.bank
        if not len(bank) or float(torch.linalg.vector_norm(bank.double(), dim=1).max()) > _LONGEST:
            refuse("PatchMemory", "it has no descriptions in its memory, or some that are longer than 1")


class _Encoder(nn.Module):
    """Convolutions with batch normalisation, and the mean over the steps: ``[B, C, n]`` to ``[B, E]``, for any n."""

    def __init__(self, c_in: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for k, (before, after) in enumerate(pairwise((c_in, *channels))):
            width = _KERNELS[min(k, len(_KERNELS) - 1)]
            layers.append(nn.Conv1d(before, after, width, padding=width // 2, bias=False))
            # Without a momentum the statistics are means over all batches since they were last forgotten.
            layers += [nn.BatchNorm1d(after, momentum=None), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean(-1)

    def forget_statistics(self) -> None:
        for layer in self.layers:
            if isinstance(layer, nn.BatchNorm1d):
                layer.reset_running_stats()


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, _HEAD), nn.ReLU(), nn.Linear(_HEAD, outputs))


def _evenly(n: int, most: int) -> NDArray[np.int64]:
    """Return up to ``most`` places out of n, evenly spaced."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)

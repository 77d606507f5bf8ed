"""Deep hybrid: Erfani et al., "High-Dimensional and Large-Scale Anomaly Detection ...", Pattern Recognition 2016."""

from copy import deepcopy
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from whitecrow.core.parameters import Count, Probability
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import refuse
from whitecrow.detectors._deep import DeepDetector
from whitecrow.detectors._shallow import check_sizes, cut, fill, shallow_detector
from whitecrow.nn import (
    Activation,
    Networks,
    hidden_width,
    mean_error_gradient,
    mlp,
    reconstruction_error,
    squared_error,
)
from whitecrow.train import Batch, Execution, Replicas

__all__ = ["DeepHybrid"]

_BLOCK_ROWS = 8192
_N_RANKS = 257
_MOST_RANKED = 5000
_FARTHEST = 1e12
_CONSTANT = 1e-6  # standard deviation below which a feature of the code says nothing


class DeepHybrid(DeepDetector):
    r"""Train an autoencoder, then let a shallow detector judge the codes.

    .. math:: s(x) = s_\text{shallow}\Big(\frac{f(x) - \mu}{\sigma}\Big), \qquad
        f(x) = \Big[z,\ \log(1 + \lVert x - x' \rVert^2),\ \frac{x \cdot x'}{\lVert x \rVert \lVert x' \rVert}\Big],
        \quad z = E(x),\ x' = D(z)

    with the mean :math:`\mu` and the standard deviation :math:`\sigma` of f over the training rows, on which the
    shallow detector learns too.

    Parameters
    ----------
    shallow : str, default="knn"
        Registry name of a detector that learns without gradients.
    shallow_parameters : tuple of str, default=()
        Parameters of the shallow detector that differ from its defaults, each as ``"name=value"``.
    code : {"composite", "latent"}, default="composite"
        What the shallow detector sees: f as above, or z alone. Anomalies may fall on codes of normal rows; the error
        and the angle tell them apart even so.
    score_type : {"shallow", "error", "fused"}, default="shallow"
        The score of the shallow detector; the autoencoder's error :math:`\lVert x - x' \rVert^2`; or the mean of the
        ranks of both among the training rows, continued beyond the largest along a straight line.
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the decoder mirrors them. None takes two layers, h
        and h / 2, where h is the power of two nearest to D, from 16 to 256.
    latent_dim : int or None, default=None
        Width of z. None takes D / 8, from 2 to 32.
    activation : str, default="relu"
        Between layers. The code is linear: a bounded one would map far rows onto normal ones.
    dropout : float from 0 to 1 (excluded), default=0
        Probability of dropping a hidden value in training.

    Notes
    -----
    Erfani et al. put a one-class SVM on the codes of a deep belief network. Every feature of the code is standardised:
    its scale is arbitrary, and kernels and distances depend on it.

    References
    ----------
    .. [1] S. Erfani, S. Rajasegarar, S. Karunasekera, C. Leckie, "High-Dimensional and Large-Scale Anomaly Detection
       Using a Linear One-Class SVM with Deep Learning", Pattern Recognition 58, 2016.
    .. [2] B. Zong et al., "Deep Autoencoding Gaussian Mixture Model for Unsupervised Anomaly Detection", ICLR 2018:
       the composite code.
    """

    execution: ClassVar[Execution] = "direct"
    learnt: ClassVar[tuple[str, ...]] = ("shallow", "sizes")
    chunk_rows: ClassVar[int] = 256
    paper: ClassVar[str] = "Erfani et al., Pattern Recognition 2016"
    year: ClassVar[int] = 2016
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    shallow: str = "knn"
    shallow_parameters: tuple[str, ...] = ()
    code: Literal["composite", "latent"] = "composite"
    score_type: Literal["shallow", "error", "fused"] = "shallow"
    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    activation: Activation = "relu"
    dropout: Probability = 0.0

    def networks(self, spec: InputSpec) -> Networks:
        d = spec.n_features
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, max(h // 2, 2))
        latent = self.latent_dim if self.latent_dim is not None else min(max(round(d / 8), 2), 32)
        width = latent + (2 if self.code == "composite" else 0)
        return Networks(
            encoder=mlp(d, *hidden, latent, activation=self.activation, dropout=self.dropout),
            decoder=mlp(latent, *reversed(hidden), d, activation=self.activation, dropout=self.dropout),
            mean=torch.zeros(width),
            deviation=torch.ones(width),
            error_ranks=torch.zeros(_N_RANKS, dtype=torch.float64),
            shallow_ranks=torch.zeros(_N_RANKS, dtype=torch.float64),
        )

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(self.row_losses(net, batch.x))

    def gradient(self, net: Networks, batch: Batch) -> tuple[Tensor, dict[Tensor, Tensor]] | None:
        return mean_error_gradient(batch.x, batch.weight, net.encoder, net.decoder)

    def row_losses(self, net: Networks, x: Tensor) -> Tensor:
        return reconstruction_error(x, net.encoder, net.decoder)

    def finish(self, net: Networks, X: Tensor) -> None:
        f = torch.cat([self._features(net, x) for x in X.split(_BLOCK_ROWS)])
        deviation = f.std(0, correction=0)
        net.mean.copy_(f.mean(0))
        net.deviation.copy_(torch.where(deviation > _CONSTANT, deviation, 1.0))

    def _features(self, net: Networks, x: Tensor) -> Tensor:
        """Return f, ``[B, width]``."""
        z = net.encoder(x)
        if self.code == "latent":
            return z
        wide, rebuilt = x.double(), net.decoder(z).double()  # squares of large numbers
        beside = [squared_error(wide, rebuilt).log1p(), cosine_similarity(wide, rebuilt, -1)]
        return torch.cat([z, torch.stack(beside, -1).float()], -1)

    def _code(self, net: Networks, x: Tensor) -> Tensor:
        code = (self._features(net, x) - net.mean) / net.deviation
        # A row so far away that its code overflows is far away for the shallow detector too, which expects numbers.
        return code.nan_to_num(nan=_FARTHEST).clamp(-_FARTHEST, _FARTHEST)

    # ---- the shallow detector ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...], rows: Tensor | None = None) -> None:
        with torch.enable_grad():
            super()._fit_networks(X, y, seeds, rows)
        replicas, inner = self.replicas_, self._inner()
        replicas.train(False)
        nets = [replicas.replica(r) for r in range(replicas.n)]
        codes = [torch.cat([self._code(net, x) for x in X.split(_BLOCK_ROWS)]) for net in nets]
        inner.spec_ = InputSpec("table", (codes[0].shape[-1],))
        learnt = [inner.learn(code, y, seed) for code, seed in zip(codes, seeds, strict=True)]
        some = torch.linspace(0, len(X) - 1, min(len(X), _MOST_RANKED), dtype=torch.float64).long()
        for net, code, buffers in zip(nets, codes, learnt, strict=True):
            score = torch.cat([inner.score_batch(buffers, c) for c in code[some].split(self.chunk_rows)])
            net.error_ranks.copy_(_evenly_spaced(self.row_losses(net, X[some])))
            net.shallow_ranks.copy_(_evenly_spaced(score))
        shallow, sizes = fill(learnt)
        template = deepcopy(nets[0])
        template.add_module("shallow", learnt[0])
        template.add_module("sizes", Networks(**{name: size[0] for name, size in sizes.items()}))
        stacked = {f"shallow.{name}": t for name, t in shallow.items()} | {f"sizes.{n}": t for n, t in sizes.items()}
        self.replicas_ = Replicas(template, {**replicas.stacked, **stacked}, "loop")

    def _inner(self) -> Detector:
        owner = f"{type(self).__name__}(shallow={self.shallow!r})"
        return shallow_detector(owner, self.shallow, self.shallow_parameters)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._inner()._check_parameters()

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        error = self.row_losses(net, x)
        if self.score_type == "error" or not hasattr(net, "shallow"):  # fresh networks have no shallow detector yet
            return error
        shallow = self._inner().score_batch(cut(net.shallow, net.sizes), self._code(net, x))
        if self.score_type == "shallow":
            return shallow
        return (_rank(net.error_ranks, error) + _rank(net.shallow_ranks, shallow)) / 2

    def check_buffers(self, net: Networks) -> None:
        check_sizes("DeepHybrid", net.shallow, net.sizes)
        ranks = torch.stack([net.error_ranks, net.shallow_ranks])
        if bool((net.deviation <= 0).any()) or bool((ranks.diff() < 0).any()):
            refuse("DeepHybrid", "a standard deviation is not positive, or ranks are not in order")
        inner = self._inner()
        inner.spec_ = InputSpec("table", (net.mean.shape[-1],))
        inner.check_buffers(cut(net.shallow, net.sizes))


def _evenly_spaced(scores: Tensor) -> Tensor:
    """Return ``_N_RANKS`` order statistics of scores, from the smallest to the largest."""
    ordered = scores.double().sort().values
    return ordered[torch.linspace(0, len(scores) - 1, _N_RANKS).round().long()]


def _rank(ordered: Tensor, score: Tensor) -> Tensor:
    """Return the ranks of scores among ``ordered [n]``, from 0 to 1, and beyond along a straight line."""
    n, score = len(ordered), score.double()
    above = torch.searchsorted(ordered, score).clamp(1, n - 1)
    low, high = ordered[above - 1], ordered[above]
    # A step of at least a thousandth of the mean one, so that equal scores in training do not divide by zero.
    step = (high - low).clamp_min(1e-3 * (ordered[-1] - ordered[0]) / (n - 1) + 1e-12)
    return (above - 1 + (score - low) / step) / (n - 1)

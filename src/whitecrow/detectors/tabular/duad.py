"""Deep unsupervised anomaly detection by selecting clusters (Li et al., WACV 2021)."""

import warnings
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whitecrow.core.parameters import Count, Natural, NonNegative, Probability
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import (
    Activation,
    Networks,
    derive_seed,
    hidden_width,
    mlp,
    reconstruction_error,
    residual_features,
    squared_error,
)
from whitecrow.train import Batch, Execution, Objective, Stage

__all__ = ["DUAD"]

_CHUNK = 8192
_FITTED_ROWS = 5_000
_LEAST_KEPT = 0.3
_VARIANCE_FLOOR = 1e-4  # of the clusters, in squared units of the scaled features


class DUAD(DeepDetector):
    r"""Train an autoencoder on the clusters of low variance alone, and choose them again in the space it learns.

    .. math:: s(x) = \lVert x - x' \rVert^2, \qquad x' = D(E(x))

    trained on :math:`\operatorname{mean}_i \lVert x_i - x'_i \rVert^2 + \lambda \lVert u_i \rVert` over the kept rows,
    with :math:`u = [E(x), \cos(x, x')]`. A mixture of k Gaussians with diagonal covariances, first of the rows x and
    then of u, assigns each row to a cluster c. Of clusters with the variance
    :math:`v_c = \operatorname{mean}_{i \in c} \lVert u_i - \bar u_c \rVert^2` the largest are dropped.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the encoder's hidden layers, input side first; the decoder mirrors them. None takes two layers, h and
        h / 2, where h is the power of two nearest to D, from 16 to 256.
    latent_dim : int or None, default=None
        Width of the code. None takes D / 8, from 2 to 32.
    activation : str, default="tanh"
        Between layers; the code and the output are linear. A saturating one keeps what was dropped from being rebuilt:
        piecewise linear layers go on along the directions of the kept rows.
    n_clusters : int or None, default=None
        k. None takes n / 50, from 4 to 20.
    first_drop : float from 0 to 1 (excluded), default=0.35
        :math:`p_0`, the share of clusters that the first selection drops, among the rows themselves.
    drop : float from 0 to 1 (excluded), default=0.3
        p, the share of clusters that later selections drop, in the space of u.
    interval : int, default=10
        r, epochs between selections.
    n_selections : int, default=10
        Most selections after the first.
    code_weight : float, default=0.1
        :math:`\lambda`.

    Notes
    -----
    Clusters of fewer than max(5, n / 500) rows are dropped in any case: a lone row has no variance, and is no dense
    cluster. At least three rows in ten are kept. Mixtures are fitted to at most 5,000 rows and assign all. Networks
    and optimiser go on from one selection to the next. No rows are held out for early stopping by default: they would
    be of all clusters, and choose the epoch that rebuilds those best which are to be left out.

    References
    ----------
    .. [1] T. Li, Z. Wang, S. Liu, W.-Y. Lin, "Deep Unsupervised Anomaly Detection", WACV 2021.
    """

    execution: ClassVar[Execution] = "direct"
    paper: ClassVar[str] = "Li et al., WACV 2021"
    year: ClassVar[int] = 2021
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    hidden_dims: tuple[Count, ...] | None = None
    latent_dim: Count | None = None
    activation: Activation = "tanh"
    n_clusters: Count | None = None
    first_drop: Probability = 0.35
    drop: Probability = 0.3
    interval: Count = 10
    n_selections: Natural = 10
    code_weight: NonNegative = 0.1
    validation: Probability = 0.0

    def networks(self, spec: InputSpec) -> Networks:
        d = spec.n_features
        h = hidden_width(d)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, max(h // 2, 2))
        latent = self.latent_dim if self.latent_dim is not None else min(max(round(d / 8), 2), 32)
        return Networks(
            encoder=mlp(d, *hidden, latent, activation=self.activation),
            decoder=mlp(latent, *reversed(hidden), d, activation=self.activation),
            selections=torch.tensor(0),
            seed=torch.randint(1 << 31, ()),
        )

    def stages(self) -> Sequence[Stage]:
        # An epoch at rate 0: rows are selected before anything is learnt from them.
        selection = Stage((Objective(lr=0.0),), epochs=1, name="selection", early_stop=False)
        return selection, Stage()

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        if not self.code_weight:
            return batch.mean(reconstruction_error(batch.x, net.encoder, net.decoder))
        u, error = self._code(net, batch.x)
        # Adding under the root keeps its slope finite at 0.
        return batch.mean(error + self.code_weight * (u.square().sum(-1) + 1e-12).sqrt())

    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> Tensor | None:
        done = int(net.selections)
        if done > self.n_selections or (done and (epoch + 1) % self.interval):
            return None
        net.selections.add_(1)
        space = torch.cat([self._code(net, x)[0] for x in X.split(_CHUNK)]) if done else X
        kept = self._select(space.cpu().numpy(), self.drop if done else self.first_drop, int(net.seed) + done)
        return torch.from_numpy(kept).to(X)

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.encoder(x)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return reconstruction_error(x, net.encoder, net.decoder)

    def _code(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return u = [code, cosine] and the squared error of each row."""
        z = net.encoder(x)
        rebuilt = net.decoder(z)
        cosine = residual_features(x, rebuilt, ("cosine",)).to(z.dtype)
        return torch.cat([z, cosine], -1), squared_error(x, rebuilt)

    def _select(self, rows: NDArray[np.float32], drop: float, seed: int) -> NDArray[np.bool_]:
        """Return which rows are in clusters that are kept, ``[N]``."""
        if not drop:
            return np.ones(len(rows), dtype=bool)
        label = self._clusters(rows.astype(np.float64), derive_seed(seed, "clusters") % 2**32)
        clusters = [np.flatnonzero(label == c) for c in np.unique(label)]
        clusters = [c for c in clusters if len(c) >= max(5, 0.002 * len(rows))]
        if not clusters:
            return np.ones(len(rows), dtype=bool)
        variance = np.array([rows[c].var(0, dtype=np.float64).sum() for c in clusters])
        n_dense = (variance <= np.quantile(variance, 1 - drop)).sum()
        kept = np.zeros(len(rows), dtype=bool)
        for rank, c in enumerate(variance.argsort(kind="stable")):
            if rank < n_dense or kept.mean() < _LEAST_KEPT:
                kept[clusters[c]] = True
        return kept

    def _clusters(self, rows: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
        """Return the most probable component of each row, ``[N]``, whatever the order of the rows."""
        from sklearn.mixture import GaussianMixture

        rng = np.random.default_rng(seed)
        k = int(self.n_clusters) if self.n_clusters is not None else min(max(len(rows) // 50, 4), 20)
        order = (rows @ rng.normal(size=rows.shape[1])).argsort(kind="stable")
        sample = rows[order[np.sort(rng.permutation(len(rows))[:_FITTED_ROWS])]]
        mixture = GaussianMixture(
            min(k, len(rows)),
            covariance_type="diag",
            reg_covar=_VARIANCE_FLOOR,
            n_init=3,  # one start may split a cluster and spread another over the rest
            init_params="k-means++",
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # too few distinct rows, or steps: clusters of any quality will do
            mixture.fit(sample)
        return np.concatenate([mixture.predict(rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)])

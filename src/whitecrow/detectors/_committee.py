"""Detectors whose score combines those of others, each put on one scale by rows that it was not fitted on."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whitecrow.core.parameters import Positive, Probability, Range
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.detectors._cross_fits import SharedProgress, cross_fitted, fitted, make_folds, n_fits
from whitecrow.detectors._prepared import Prepared
from whitecrow.nn import Networks, derive_seed
from whitecrow.nn.tails import N_KNOTS, rarity, tail_knots, tails
from whitecrow.train import Replicas

__all__ = ["CommitteeDetector"]

Folds = Annotated[int, Range(2, 100)]


class CommitteeDetector(Detector):
    r"""Base of the detectors that combine others, their members; a subclass says which, by :meth:`chosen`.

    The members share the encoded table. Scores of different methods have different units, so each is replaced by how
    rare it is among normal rows,

    .. math:: u_m(x) = -\log \Pr(S_m \ge s_m(x)),

    where the law of :math:`S_m` is that of training rows scored by fits of the member that did not see them
    (cross-fitting). Beyond the highest of these scores :math:`u_m` grows with the logarithm of what an exponential
    tail would say. The score of the committee is the weighted power mean of the :math:`u_m`.

    Parameters
    ----------
    power : float or None, default=1
        Exponent of the power mean: 1 is the mean, and the larger it is, the more one member that finds a row rare
        outweighs those that do not. None takes the largest.
    scaling : {"auto", "standard", "minmax", "robust", "none"}, default="auto"
        *auto*: robust in the contaminated regime, else standard.
    n_folds : int, default=5
        Number of cross-fits of each member, each of which leaves out its part of the training rows (of more than
        20,000, of so many); two of a member that is trained by gradients. All rows train the members that score.
    calibration : float from 0 to 1 (excluded), default=0.8
        Share of the training rows whose cross-fitted scores calibrate p-values and, in the clean and the labelled
        regime, the threshold. They train the members that score all the same.

    Attributes
    ----------
    members_ : dict of str to Detector
        The fitted members by their names in the committee.
    """

    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    scaling: Literal["auto", "standard", "minmax", "robust", "none"] = "auto"  # pyright: ignore[reportIncompatibleVariableOverride]
    clip: Positive | None = 10.0
    calibration: Probability = 0.8
    power: Positive | None = 1.0
    n_folds: Folds = 5

    # ---- what a subclass writes -------------------------------------------------------------------------------------

    def chosen(self, X: Tensor, y: Tensor) -> dict[str, float]:
        """Return the weights of the members by their names, for encoded rows ``[N, D]`` with labels ``[N]``."""
        raise TypeError(f"{type(self).__name__} defines no chosen(X, y).")

    def member(self, name: str) -> Detector:
        """Return the member of this name, unfitted.

        Raises
        ------
        KeyError
            If there is none of this name.
        """
        raise TypeError(f"{type(self).__name__} defines no member(name).")

    def learns_from_labels(self) -> bool:
        """Return whether a member learns from known anomalies; if none does, they are kept out of training."""
        return False

    def reweighed(
        self, weights: dict[str, float], normal: NDArray[np.float64], anomalous: NDArray[np.float64]
    ) -> dict[str, float]:
        """Return the weights after a look at rows that the members had not seen; a member without one is left out.

        Parameters
        ----------
        weights : dict of str to float
            As :meth:`chosen` gave them.
        normal, anomalous : ndarray [N, M] and [A, M]
            Rarities of rows not known to be anomalous, and of known anomalies, where members learn from labels.
        """
        return weights

    # ---- fitting ----------------------------------------------------------------------------------------------------

    @property
    def _scaling(self) -> str:
        if self.scaling != "auto":
            return self.scaling
        return "robust" if self.regime == "contaminated" else "standard"

    def _split(self, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        _, calibrating = super()._split(labels)
        return np.flatnonzero((labels != 1) | self.learns_from_labels()), calibrating

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...], rows: Tensor | None = None) -> None:
        # In the order in which a model file keeps them.
        weights = dict(sorted(self.chosen(X, y).items()))
        members = self._members(weights)
        folds = make_folds(y, super()._split(y.cpu().numpy())[1], int(self.n_folds))
        progress = SharedProgress(sum(1 + max(n_fits(m, folds), 1) for m in members.values()), bool(self.verbose))
        seed = {name: derive_seed(seeds[0], name) for name in members}
        scores = {
            name: cross_fitted(member, X, y, self.spec_, seed[name], folds, progress)
            for name, member in members.items()
        }
        laws = {name: tail_knots(found.normal) for name, found in scores.items()}
        normal = np.stack([rarity(*laws[name], found.normal) for name, found in scores.items()], 1)
        anomalous = np.stack([rarity(*laws[name], found.anomalous) for name, found in scores.items()], 1)
        kept = self.reweighed(weights, normal, anomalous)
        self.members_ = {}
        for name in kept:
            with progress.part():
                self.members_[name] = fitted(members[name], X, y, self.spec_, seed[name])
        progress.close()
        total = sum(kept.values())
        net = Networks(
            knots=torch.stack([laws[name][0] for name in kept]).to(X.device),
            slopes=torch.tensor([laws[name][1] for name in kept], dtype=torch.float64, device=X.device),
            weights=torch.tensor([w / total for w in kept.values()], dtype=torch.float64, device=X.device),
            **{name: _parts(member.replicas_) for name, member in self.members_.items()},
        )
        self.replicas_ = Replicas.stack([net])
        columns = [list(weights).index(name) for name in kept]
        calibrating = torch.from_numpy(normal[: folds.n_calibrating, columns]).to(X.device)
        self._calibrating = self._combined(net, calibrating).cpu().numpy()

    def _scores_of_fit(self, prepared: Prepared) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return vars(self).pop("_calibrating"), super()._scores_of_fit(prepared)[1]

    @property
    def _held_out_rows(self) -> str:
        return f"{super()._held_out_rows}, as fits without them scored them"

    # ---- scoring ----------------------------------------------------------------------------------------------------

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return self._combined(net, self._rarities(net, x))

    def _rarities(self, net: Networks, x: Tensor) -> Tensor:
        """Return how rare each member finds each row, :math:`u_m`, ``[B, M]``."""
        scores = [
            torch.stack([_scores(member, part, x) for part in _replicas(net, name)]).mean(0)
            for name, member in self.members_.items()
        ]
        return tails(net.knots, net.slopes, torch.stack(scores, 1).double())

    def _combined(self, net: Networks, rarities: Tensor) -> Tensor:
        """Return the weighted power mean over the members, ``[B]``."""
        if self.power is None:
            return rarities.amax(1)
        power = float(self.power)
        if power == 1:
            return rarities @ net.weights
        largest = rarities.amax(1, keepdim=True).clamp_min(1e-300)  # so that no power overflows
        return ((rarities / largest) ** power @ net.weights) ** (1 / power) * largest.squeeze(1)

    def member_scores(self, X: object) -> NDArray[np.float64]:
        r"""Return how rare each member finds each row, :math:`-\log` of the share of normal rows that score as high.

        Parameters
        ----------
        X : table or array-like [N, columns]
            Rows with the columns seen in ``fit``.

        Returns
        -------
        ndarray [N, M]
            At least 0, higher = more anomalous; the members in the order of ``members_``. The anomaly score is their
            weighted power mean.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            If the rows cannot be used.
        """
        self._check_fitted()
        rows = self._accept(X, "table", fitting=False)
        return np.concatenate([r[0] for r in self._blocks(self._rarities, partial(self.encoder_.fill, rows))])

    # ---- file -------------------------------------------------------------------------------------------------------

    def inner(self, names: Iterable[str], spec: InputSpec) -> Mapping[str, Detector]:
        """Return the members of these names, unfitted, for encoded rows of this shape; for loading a model file.

        Raises
        ------
        ModelFileError
            If the committee has no member of a name.
        """
        members: dict[str, Detector] = {}
        try:
            members = self._members(sorted(names))
        except KeyError as error:
            refuse(type(self).__name__, f"it has a member {error}, which this version does not know")
        for member in members.values():
            member.spec_ = spec
        return members

    def check_buffers(self, net: Networks) -> None:
        owner = type(self).__name__
        names = [name for name, _ in net.named_children()]
        m, real = len(names), torch.float64
        own = Networks(**dict(net.named_buffers(recurse=False)))
        check_layout(owner, own, knots=(real, (m, 2, N_KNOTS)), slopes=(real, (m,)), weights=(real, (m,)))
        if bool((net.knots.diff() < 0).any()) or bool((net.slopes <= 0).any()) or bool((net.weights <= 0).any()):
            refuse(owner, "knots are not in order, or a slope or a weight is not positive")
        self.members_ = dict(self.inner(names, self.spec_))
        for name, member in self.members_.items():
            for part in _replicas(net, name):
                member.check_buffers(part)

    def _members(self, names: Iterable[str]) -> dict[str, Detector]:
        """Return unfitted members that share what the committee says of the data."""
        shared = {key: getattr(self, key) for key in ("regime", "contamination", "device")}
        return {name: self.member(name).set_params(**shared, verbose=False) for name in names}


def _parts(replicas: Replicas) -> Networks:
    return Networks(**{f"r{r}": replicas.replica(r) for r in range(replicas.n)})


def _replicas(net: Networks, name: str) -> list[Networks]:
    """Return the replicas of a member."""
    return [part for part in net.get_submodule(name).children() if isinstance(part, Networks)]


def _scores(member: Detector, net: Networks, x: Tensor) -> Tensor:
    """Return the scores ``[B]`` by one replica of a member, in blocks of the member's own size."""
    return torch.cat([member.score_batch(net, block).double() for block in x.split(member.chunk_rows)])

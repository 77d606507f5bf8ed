"""The default: a committee chosen by one rule for all data, without labels."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from whitecrow.core import registry
from whitecrow.core.spec import Kind
from whitecrow.data.encoders import table_encoder
from whitecrow.detectors._base import Detector
from whitecrow.detectors._committee import CommitteeDetector
from whitecrow.detectors._prepared import Prepared
from whitecrow.metrics import auroc

__all__ = ["Auto"]

# Every member that a rule below may choose, by its name in model files, which never changes its meaning.
_MEMBERS: dict[str, tuple[str, dict[str, Any]]] = {
    "nearest": ("knn", {"n_neighbours": 1}),
    "near": ("knn", {"n_neighbours": 5}),
    "local": ("lof", {"n_neighbours": 20}),
    "mixture": ("gaussian-mixture", {"n_components": 5}),
    "mixture_quick": ("gaussian-mixture", {"n_components": 5, "max_rows": 4000, "max_iterations": 20}),
    "pair": ("gaussian-mixture", {"n_components": 2}),
    "sampled": ("sample-neighbours", {}),
    "sampled_more": ("sample-neighbours", {"n_samples": 40, "sample_rows": 64, "n_neighbours": 3}),
    "sampled_few": ("sample-neighbours", {"n_samples": 20}),
    "sampled_clean": ("sample-neighbours", {"n_samples": 6, "sample_rows": 64}),
    "sampled_often": ("sample-neighbours", {"n_samples": 400}),
    "contrastive": ("neutral-ad", {}),
    "rebuilt": ("autoencoder", {}),
    "taught": ("deep-sad", {}),
}

# Weights by regime and budget. Where training rows may be anomalous, near ones are no proof of being normal.
_CLEAN = {
    "fast": {"mixture_quick": 1.0, "sampled_clean": 1.0},
    "balanced": {"nearest": 1.0, "near": 1.0, "local": 1.0, "mixture": 1.0},
    "thorough": {"nearest": 1.0, "near": 1.0, "local": 1.0, "mixture": 1.0, "contrastive": 1.0},
}
_CONTAMINATED = {
    "fast": {"sampled_few": 1.0, "pair": 1.0},
    "balanced": {"sampled": 1.0, "sampled_more": 1.0, "pair": 1.0},
    "thorough": {"sampled_often": 1.0, "sampled_more": 1.0, "pair": 1.0},
}
_CATEGORIES = ("category", "boolean")
_MIXTURES = frozenset({"mixture", "mixture_quick", "pair"})
_MOST_FEATURES = 500  # of a full covariance matrix, whose cost grows with their cube
_ENOUGH_ANOMALIES = 5  # to tell whether learning from them helped


class Auto(CommitteeDetector):
    r"""Choose a committee by the regime, the table and a budget; never by labels that it is judged on.

    The score is the weighted mean of :math:`u_m(x) = -\log \Pr(S_m \ge s_m(x))` over the members, as in
    :class:`~whitecrow.detectors.tabular.committee.Committee`. One rule serves all data:

    - *clean* and *labelled*: the distances to the nearest and to the five nearest training rows, the local outlier
      factor and a mixture of five Gaussians.
    - *contaminated*: the distances to the nearest row of samples of 16, and to the three nearest of samples of 64, and
      a mixture of two Gaussians fitted to the three quarters of the rows that it finds most likely.
    - In both, an autoencoder joins where columns hold categories, which distances judge badly; not within the fast
      budget.
    - *labelled*, with five known anomalies or more: Deep SAD joins with the weight of all others together, if that
      finds anomalies better which it has not seen, in the cross-fits; :attr:`label_gain_` says so.

    Parameters
    ----------
    budget : {"fast", "balanced", "thorough"}, default="balanced"
        About how long a fit of 10,000 rows and 50 columns may take on one core: 5 seconds, a minute, or ten.

    Attributes
    ----------
    label_gain_ : tuple of float or None
        AUROC of the known anomalies against the other rows, all unseen, without and with the member that learns from
        labels; None where it was not tried.

    Notes
    -----
    Which members stand in the rule was chosen on the 23 public tables on which ``docs/results/auto`` reports, so its
    figures there are those of a choice made on the same tables. What did not pay is said there as well.

    References
    ----------
    .. [1] C. C. Aggarwal, S. Sathe, "Theoretical Foundations and Algorithms for Outlier Ensembles", SIGKDD
       Explorations 17(1), 2015.
    """

    paper: ClassVar[str] = "Aggarwal & Sathe, SIGKDD Explorations 2015"
    year: ClassVar[int] = 2015
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"
    kinds: ClassVar[tuple[Kind, ...]] = ("table",)

    budget: Literal["fast", "balanced", "thorough"] = "balanced"

    def chosen(self, X: Tensor, y: Tensor) -> dict[str, float]:
        weights = dict((_CONTAMINATED if self.regime == "contaminated" else _CLEAN)[self.budget])
        if X.shape[1] > _MOST_FEATURES:
            weights = {name: weight for name, weight in weights.items() if name not in _MIXTURES}
        if self.budget != "fast" and any(
            column.kind in _CATEGORIES for column in table_encoder(self.encoder_, "Auto").columns_
        ):
            weights["rebuilt"] = 1.0
        if int((y == 1).sum()) >= _ENOUGH_ANOMALIES:
            weights["taught"] = sum(weights.values())
        return weights

    def member(self, name: str) -> Detector:
        registered, parameters = _MEMBERS[name]
        return registry.load(registered)(**parameters)

    def _complete_fit(self, prepared: Prepared) -> None:
        super()._complete_fit(prepared)
        self.summary_["label_gain"] = vars(self).pop("_label_gain", None)

    @property
    def label_gain_(self) -> tuple[float, float] | None:
        """AUROC of unseen known anomalies without and with the member that learns from labels."""
        self._check_fitted()
        gain = self.summary_["label_gain"]
        return None if gain is None else (gain[0], gain[1])

    def learns_from_labels(self) -> bool:
        return self.regime == "labelled"

    def reweighed(
        self, weights: dict[str, float], normal: NDArray[np.float64], anomalous: NDArray[np.float64]
    ) -> dict[str, float]:
        if "taught" not in weights or not len(anomalous):
            return {name: weight for name, weight in weights.items() if name != "taught"}
        rarities = np.concatenate([normal, anomalous])
        y = np.repeat([0, 1], [len(normal), len(anomalous)])
        untaught = {name: weight for name, weight in weights.items() if name != "taught"}
        without, gained = (
            auroc(y, rarities @ [chosen.get(name, 0.0) for name in weights]) for chosen in (untaught, weights)
        )
        self._label_gain = without, gained
        return weights if gained > without else untaught

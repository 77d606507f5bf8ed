"""A committee of detectors: Aggarwal and Sathe, "Theoretical Foundations and Algorithms for Outlier Ensembles"."""

import re
from typing import ClassVar, Literal

from torch import Tensor

from whitecrow.core import parameters, registry
from whitecrow.core.errors import ParameterError, UnknownNameError
from whitecrow.core.parameters import Positive
from whitecrow.detectors._base import Detector
from whitecrow.detectors._committee import CommitteeDetector

__all__ = ["Committee"]

_MEMBER = re.compile(r"([\w-]+)\s*(?:\((.*)\))?")
_BETWEEN = re.compile(r",\s*(?=\w+\s*=)")  # not the commas of a tuple
_SHARED = frozenset(
    {"regime", "contamination", "calibration", "scaling", "clip", "random_state", "device", "verbose", "checkpoint"}
)


class Committee(CommitteeDetector):
    r"""Ask several detectors; score a row by how rare they find it on the whole.

    .. math::
        s(x) = \Big(\sum_m w_m\, u_m(x)^p\Big)^{1/p}, \qquad u_m(x) = -\log \Pr(S_m \ge s_m(x))

    with the score :math:`s_m` of each member, whose law among normal rows comes from training rows that were scored
    by fits of the member which had not seen them.

    Parameters
    ----------
    members : tuple of str, default=("sample-neighbours", "knn", "isolation-forest")
        Registry names of the members, each with parameters in brackets where they differ from its defaults:
        ``"knn(n_neighbours=20, score_type=kth)"``. A name may stand several times. What concerns the data (regime,
        scaling, clip, random_state, ...) is the committee's alone.
    weights : tuple of float or None, default=None
        Weight :math:`w_m` of each member, of any sum; None weighs all alike.

    Notes
    -----
    Occlusion explains the score of the committee by what it does to the members' rarities; with ``power=1`` it is the
    weighted mean of what it does to each. :meth:`member_scores` tells how rare each member finds a row.

    References
    ----------
    .. [1] C. C. Aggarwal, S. Sathe, "Theoretical Foundations and Algorithms for Outlier Ensembles", SIGKDD
       Explorations 17(1), 2015.
    .. [2] H.-P. Kriegel, P. Kröger, E. Schubert, A. Zimek, "Interpreting and Unifying Outlier Scores", SDM 2011.
    """

    paper: ClassVar[str] = "Aggarwal & Sathe, SIGKDD Explorations 2015"
    year: ClassVar[int] = 2015
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"

    members: tuple[str, ...] = ("sample-neighbours", "knn", "isolation-forest")
    weights: tuple[Positive, ...] | None = None

    def chosen(self, X: Tensor, y: Tensor) -> dict[str, float]:
        weights = (1.0,) * len(self.members) if self.weights is None else self.weights
        return {_name(i): float(weight) for i, weight in enumerate(weights)}

    def member(self, name: str) -> Detector:
        places = {_name(i): text for i, text in enumerate(self.members)}
        return _parsed(places[name])

    def learns_from_labels(self) -> bool:
        return any(_parsed(text).uses_labels for text in self.members)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        n = len(self.members)
        if not 1 <= n <= 100:
            raise ParameterError(f"Committee(members=...) has {n} members; accepted are 1 to 100.")
        if self.weights is not None and len(self.weights) != n:
            raise ParameterError(
                f"Committee(weights={self.weights!r}): there are {n} members; give a weight for each, or None."
            )
        for member in self._members([_name(i) for i in range(n)]).values():
            member._check_parameters()


def _name(i: int) -> str:
    return f"m{i:02d}"


def _parsed(text: str) -> Detector:
    """Return the unfitted detector that an entry of ``members`` stands for."""
    owner = f"Committee(members=(..., {text!r}, ...))"
    found = _MEMBER.fullmatch(text.strip())
    if found is None:
        raise ParameterError(f'{owner}: accepted is a registry name, or "name(parameter=value, ...)".')
    name, given = found[1], found[2] or ""
    try:
        cls = registry.load(name)
    except (UnknownNameError, ImportError, AttributeError) as error:
        raise ParameterError(f"{owner}: it cannot be loaded. {error}") from error
    if "table" not in cls.kinds or issubclass(cls, CommitteeDetector):
        accepted = [n for n in registry.names("table") if not issubclass(registry.load(n), CommitteeDetector)]
        raise ParameterError(f"{owner}: a member must be a detector of tables. Accepted are {', '.join(accepted)}.")
    fields, values = parameters.fields(cls), {}
    for entry in _BETWEEN.split(given) if given.strip() else ():
        key, _, value = (part.strip() for part in entry.partition("="))
        if key in _SHARED:
            raise ParameterError(f"{owner}: {key} is the committee's own for all members. Give Committee({key}=...).")
        # The constructor refuses an unknown one, and names the nearest.
        values[key] = parameters.parse(cls.__name__, key, value, fields[key].annotation) if key in fields else value
    return cls(**values)

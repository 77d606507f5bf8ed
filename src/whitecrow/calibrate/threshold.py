"""What every threshold rule is: checked settings, a fit, a sentence, and a JSON form."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, ClassVar, Self, get_type_hints

from numpy.typing import ArrayLike

from whitecrow.core.errors import ModelFileError, ParameterError
from whitecrow.core.parameters import check

__all__ = ["Threshold", "threshold_from_dict"]

_RULES: dict[str, type["Threshold"]] = {}


@dataclass(frozen=True)
class Threshold(ABC):
    """Base of the rules that turn scores into one threshold.

    A rule is a frozen dataclass: its annotated fields are checked on construction. ``name`` is its name in
    model files.

    Raises
    ------
    ParameterError
        If a setting is out of its range.
    """

    name: ClassVar[str]
    needs_labels: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _RULES[cls.name] = cls

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            value = getattr(self, field.name)
            check(type(self).__name__, field.name, value, hints[field.name])
            if isinstance(value, Real):
                # NumPy numbers are welcome, but the JSON form holds plain ones.
                object.__setattr__(self, field.name, float(value))

    @property
    @abstractmethod
    def source(self) -> str:
        """What the threshold means, as the rest of "Threshold: ..."; show it beside every figure."""

    @abstractmethod
    def fit(self, scores: ArrayLike, y: ArrayLike | None = None) -> float:
        """Return the threshold; a row is flagged if its score is strictly above it.

        Parameters
        ----------
        scores : array_like, shape [N]
            Finite; higher = more anomalous. Best those of normal rows that were held out of training.
        y : array_like of {0, 1}, shape [N], optional
            1 = anomaly. Ignored by rules that need no labels.

        Returns
        -------
        float
            Finite, in the unit of the scores.

        Raises
        ------
        DataError
            If scores or labels cannot be used, or labels are needed and absent.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values: ``{"rule": name, setting: value, ...}``."""
        return {"rule": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Return the rule that :meth:`to_dict` described, if it is one of this class.

        Raises
        ------
        ModelFileError
            As :func:`threshold_from_dict`, and if the rule is another one.
        """
        rule = threshold_from_dict(document)
        if not isinstance(rule, cls):
            raise ModelFileError(
                f"The threshold rule in the file is {rule.name!r}; accepted here is {cls.name!r}. Load it "
                "with threshold_from_dict."
            )
        return rule


def threshold_from_dict(document: object) -> Threshold:
    """Return the rule that ``to_dict`` described. The document may come from an untrusted file.

    Parameters
    ----------
    document : object
        Parsed JSON.

    Raises
    ------
    ModelFileError
        If the document is no object, names no known rule, lacks a setting, has one too many, or holds a
        value of the wrong type or out of its range.
    """
    advice = "The file is damaged or was written by another version; save the model again."
    if not isinstance(document, Mapping):
        raise ModelFileError(f"The threshold rule is a {type(document).__name__}; accepted is an object. {advice}")
    name = document.get("rule")
    cls = _RULES.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ModelFileError(
            f"The threshold rule is named {str(name)[:40]!r}; accepted are {', '.join(sorted(_RULES))}. {advice}"
        )
    expected, given = {field.name for field in fields(cls)}, set(document) - {"rule"}
    if given != expected:
        wrong = sorted(str(key)[:40] for key in given ^ expected)
        raise ModelFileError(
            f"The threshold rule {name!r} lacks or does not know {', '.join(wrong)}; accepted are exactly "
            f"{', '.join(sorted(expected)) or 'no settings'}. {advice}"
        )
    try:
        return cls(**{key: document[key] for key in expected})
    except (ParameterError, OverflowError) as error:
        raise ModelFileError(f"The threshold rule {name!r} is not valid: {error} {advice}") from error

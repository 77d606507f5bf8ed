"""What a fit is asked to do: data, detector, rows to train on, budget; checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, Self

from whitecrow.core import parameters, registry
from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Natural, Positive, Range, check
from whitecrow.data.contamination import largest_contamination
from whitecrow.workspace.dataset_record import DatasetRecord
from whitecrow.workspace.dataset_settings import DatasetSettings

__all__ = ["FEWEST_VALIDATION", "HELD_OUT", "Budget", "FitRequest", "SplitRule"]

HELD_OUT = 0.4
"""Share of the anomalies that is set aside to be injected into training, and never tested."""

FEWEST_VALIDATION = 20
"""Rows that a threshold is found on, at least: fewer say little of the tail in which it lies."""

Regime = Literal["contaminated", "clean", "labelled"]
# What a fit sets itself.
_RESERVED = ("regime", "random_state", "checkpoint", "verbose", "device")
_NAME_LENGTH = 200
_ROUNDING = 1e-6  # of shares that were given with a few decimals
_Share = Annotated[float, Range(0, 1, True, True)]


@dataclass(frozen=True)
class SplitRule:
    """Which rows train, which set the threshold, and which test.

    Parameters
    ----------
    kind : {"random", "order", "all"}
        *random*: a random share trains, drawn with the run's seed. *order*: the first rows train, the last test, in
        the order of the file, of the data set's time column, or of ``time``. *all*: every row trains, and there is no
        test.
    share : float between 0 and 1
        Share of the rows that trains; of the normal rows, where ``injected`` is given.
    injected : float from 0 to below 0.5, or None
        Share of anomalies in the training rows. Normal rows train, and held-out anomalies, which are never tested, are
        injected among them; the test is the same for every share. Needs labels and a random split.
    validation : float between 0 and 1, or None
        Share of the rows that sets the threshold, and neither trains nor tests; by order those between. None leaves the
        threshold to the detector, which finds it on training rows, or on some of them that it holds out.
    test : float between 0 and 1, or None
        Share of the rows that tests; None takes the rest. The three shares add up to 1.
    time : str or None
        Column whose order is meant by *order*: the oldest rows train, the newest test.
    """

    kind: Literal["random", "order", "all"] = "random"
    share: _Share = 0.5
    injected: Annotated[float, Range(0, 0.5, high_open=True)] | None = None
    validation: _Share | None = None
    test: _Share | None = None
    time: str | None = None

    def check(self) -> None:
        """Check what can be checked without the rows.

        Raises
        ------
        ParameterError
            If a value is out of its range, the shares do not add up, or two of them do not go together.
        """
        for one in fields(self):
            check("SplitRule", one.name, getattr(self, one.name), type(self).__annotations__[one.name])
        if self.time is not None and self.kind != "order":
            raise ParameterError(f"A time column orders the rows, and the split is {self.kind!r}. Split by 'order'.")
        if self.validation is None and self.test is None:
            return
        if self.kind == "all":
            raise ParameterError(
                "Every row trains in this split, so there is no share for the threshold or the test. Leave them out, "
                "or split at random or by order."
            )
        if self.injected is not None:
            raise ParameterError(
                "Where anomalies are injected, their protocol says which rows test. Leave 'validation' and 'test' out, "
                "or 'injected'."
            )
        trains, validates = float(self.share), float(self.validation or 0.0)
        tests = 1 - trains - validates if self.test is None else float(self.test)
        if abs(trains + validates + tests - 1) > _ROUNDING or tests < _ROUNDING:
            given = f"{trains:g} train, {validates:g} set the threshold"
            given += ", none is left to test" if self.test is None else f", {tests:g} test"
            raise ParameterError(
                f"The shares of the rows must add up to 1, with some left to test; given: {given}. Change one, or "
                "leave 'test' out, which takes the rest."
            )

    def largest_injection(self, normal: int, anomalous: int) -> float:
        """Return the largest share that ``injected`` can be for so many labelled rows of each class."""
        # Rounded down as the split does it, whatever 0.29 * 100 = 28.999999999999996 would say.
        pool, trained = (int(n * share + 1e-9) for n, share in ((anomalous, HELD_OUT), (normal, self.share)))
        return min(largest_contamination(trained, pool), 0.499)


@dataclass(frozen=True)
class Budget:
    """What a fit may take; beyond it the run fails.

    Parameters
    ----------
    seconds : float
        Of wall time.
    memory_mb : float
        Resident memory, in MB of 2^20 bytes.
    """

    seconds: Positive = 3600.0
    memory_mb: Positive = 8192.0


@dataclass(frozen=True)
class FitRequest:
    """One fit.

    Parameters
    ----------
    dataset : str
        Id of the data set.
    detector : str
        Registered name.
    parameters : mapping
        Of the detector, by name; its defaults otherwise.
    seed : int
        Source of all randomness.
    regime : {"contaminated", "clean", "labelled"}
        *contaminated*: the training rows are taken as they are. *clean*: rows labelled as anomalies, and rows without
        a label, do not train; all rows do where there are no labels. *labelled*: labels of the training rows are told
        to the detector.
    split : SplitRule
        Which rows train and which test.
    budget : Budget
        What the fit may take.
    name : str
        For display; by default the detector's.
    settings : DatasetSettings or None
        How the columns are read; None takes what the data set says now.
    verdicts : str or None
        Run whose verdicts are told to the detector as labels (confirmed 1, dismissed 0); the regime is *labelled*.
        A random half of them is held out, to measure on.
    watch : bool
        Whether the scores, curves and codes of rows are recorded after the epochs, to be seen; see
        :class:`~whitecrow.workspace.watching.EpochWatcher`. The model is the same.
    """

    dataset: str
    detector: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: Natural = 0
    regime: Regime = "contaminated"
    split: SplitRule = SplitRule()
    budget: Budget = Budget()
    name: str = ""
    settings: DatasetSettings | None = None
    verdicts: str | None = None
    watch: bool = False

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return the request of a JSON object.

        Raises
        ------
        ParameterError
            If a name is none of a request's, or a part is missing.
        """
        try:
            values = dict(document)
            values["split"] = SplitRule(**values.get("split") or {})
            values["budget"] = Budget(**values.get("budget") or {})
            if values.get("settings") is not None:
                values["settings"] = DatasetSettings.of(values["settings"])
            return cls(**values)
        except TypeError as error:
            raise ParameterError(f"This is no request to fit: {str(error).rpartition('__init__() ')[2]}.") from error

    def document(self) -> dict[str, Any]:
        """Return the request as JSON values."""
        plain = ("dataset", "detector", "seed", "regime", "name", "verdicts", "watch")
        return {
            **{name: getattr(self, name) for name in plain},
            "parameters": dict(self.parameters),
            "split": {one.name: getattr(self.split, one.name) for one in fields(self.split)},
            "budget": {name: getattr(self.budget, name) for name in ("seconds", "memory_mb")},
            "settings": None if self.settings is None else self.settings.document(),
        }

    def checked(self, record: DatasetRecord) -> Self:
        """Return the request, complete, if it can be carried out on a data set.

        Raises
        ------
        ParameterError
            With what was given, what is accepted, and what to do.
        UnknownNameError
            If there is no such detector.
        """
        settings = record.settings if self.settings is None else self.settings
        self.split.check()
        for name in ("seconds", "memory_mb"):
            check("Budget", name, getattr(self.budget, name), Budget.__annotations__[name])
        check("FitRequest", "seed", self.seed, Natural)
        check("FitRequest", "regime", self.regime, Regime)
        check("FitRequest", "name", self.name, str)
        check("FitRequest", "watch", self.watch, bool)
        if len(self.name) > _NAME_LENGTH:
            raise ParameterError(f"A run's name has at most {_NAME_LENGTH} characters; this one has {len(self.name)}.")
        cls = registry.load(self.detector)
        # The rows of a table may be the steps of a series as well.
        accepted = {"table", "sequence"} if record.kind == "table" else {record.kind}
        if not accepted & set(cls.kinds):
            held = {"table": "is a table", "image": "holds images"}.get(record.kind, "holds series")
            nouns = {"table": "tables", "image": "images", "sequence": "series"}
            takes = " and ".join(nouns.get(kind, str(kind)) for kind in cls.kinds)
            raise ParameterError(f"{self.detector} takes {takes}, and this data set {held}. Take another detector.")
        self._check_parameters(cls)
        if self.watch and "epochs" not in parameters.fields(cls):
            raise ParameterError(
                f"{self.detector} learns in one step: it has no epochs to watch. Leave 'watch' out, or take a detector "
                "that is trained by gradients."
            )
        if self.regime == "labelled" and settings.label is None and self.verdicts is None:
            raise ParameterError(
                "The regime 'labelled' needs labels: set the data set's label column, or refit from verdicts."
            )
        if self.verdicts is not None and self.regime != "labelled":
            raise ParameterError(f"The regime is {self.regime!r}; a refit from verdicts is 'labelled'.")
        if cls.needs_labels and self.regime != "labelled":
            raise ParameterError(f"{self.detector} learns from known anomalies: its regime is 'labelled'.")
        if self.split.injected is not None and (settings.label is None or self.split.kind != "random"):
            raise ParameterError(
                "Anomalies can be injected into training only with a label column and a random split. Leave 'injected' "
                "out, or set both."
            )
        self._check_injection(record, settings)
        if record.shape is None and "table" not in cls.kinds:
            if self.split.kind == "random":
                raise ParameterError(
                    f"{self.detector} learns from a series, whose rows stay in order. Split by order, or train on all."
                )
            if self.split.time not in (None, settings.time):
                raise ParameterError(
                    f"{self.detector} learns from a series in the order of the data set. Leave 'time' out of the "
                    "split; the data set's own time column can be set with its columns."
                )
        self._check_split(record, settings)
        return replace(self, settings=settings, name=" ".join(self.name.split()) or self.detector)

    def _check_split(self, record: DatasetRecord, settings: DatasetSettings) -> None:
        split, names = self.split, [column["name"] for column in record.profile]
        n = None if split.validation is None else round(split.validation * record.rows)
        if n is not None and n < FEWEST_VALIDATION:
            raise ParameterError(
                f"A share of {split.validation:g} is {n:,} of {record.rows:,} rows; a threshold needs "
                f"{FEWEST_VALIDATION} rows at least. Make the share larger, or leave 'validation' out."
            )
        if split.time is not None and split.time not in names:
            raise ParameterError(f"There is no column {split.time!r}. The columns are: {', '.join(names[:50])}.")
        if split.time is not None and split.time == settings.label:
            raise ParameterError(f"{split.time!r} is the label column, and no time. Name another.")

    def _check_injection(self, record: DatasetRecord, settings: DatasetSettings) -> None:
        wanted, labels = self.split.injected, record.labels
        if wanted is None or labels is None or settings != record.settings:
            return  # labels of another column are counted when they are read
        largest = self.split.largest_injection(labels["normal_rows"], labels["anomalous_rows"])
        if wanted > largest:
            raise ParameterError(
                f"injected={wanted:g} takes more anomalies than are set aside for training, {100 * HELD_OUT:g} % of "
                f"the {labels['anomalous_rows']:,} that are known. The largest share here is {largest:.4f}; a smaller "
                "share of normal rows that trains raises it."
            )

    def _check_parameters(self, cls: type) -> None:
        known = parameters.fields(cls)
        for name, value in self.parameters.items():
            if name not in known:
                raise ParameterError(
                    f"{self.detector} has no parameter {name!r}. Its parameters are: {', '.join(sorted(known))}."
                )
            if name in _RESERVED:
                raise ParameterError(f"{name!r} is not set here: a request has its own seed and regime.")
            check(cls.__name__, name, _value(value), known[name].annotation)


def _value(value: Any) -> Any:
    """Return a JSON value as a parameter has it: lists are tuples."""
    return tuple(map(_value, value)) if isinstance(value, list) else value

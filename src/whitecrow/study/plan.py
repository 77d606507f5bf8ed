"""What a study is: data sets × detectors × regimes × contamination × seeds, read from a file or written in Python."""

import difflib
import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from whitecrow.core import registry
from whitecrow.core.errors import FileFormatError, ParameterError, missing_extra
from whitecrow.core.parameters import Count, Positive, Probability, Range, check
from whitecrow.core.parameters import fields as parameter_fields
from whitecrow.core.spec import Kind
from whitecrow.data.catalogue import CATALOGUE
from whitecrow.study.leaks import check_metrics, check_threshold
from whitecrow.study.protocols import Protocol, protocol, protocol_names

__all__ = ["Budget", "Cell", "DataChoice", "DetectorChoice", "Study", "code_version", "load_study"]

_REGIMES = ("clean", "contaminated")
_BLOCK = 5  # seeds trained at once: fixed blocks, so that what is missing does not decide who trains with whom


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """A data set of a study.

    Parameters
    ----------
    name : str
        Name of a data set that :func:`whitecrow.data.load_dataset` knows; with ``file``, what to call it.
    file : str, optional
        Table to read instead.
    label : str, optional
        Its label column, which never trains.
    normal : tuple of str, optional
        Values of the label column that mean normal; by default 0, false and the usual words.
    distinct : bool, default=False
        Whether rows that repeat an earlier row and its label are left out before the split.
    seeds : int, optional
        Seeds for this data set, where they are to be fewer than the study's.
    options : dict, optional
        Options of the protocol for this data set alone, for example ``{"max_rows": 20000}``.
    alias : str, optional
        What to call it in tables, where one data set stands in a study more than once, with other options.
    """

    name: str
    file: str | None = None
    label: str | None = None
    normal: tuple[str, ...] | None = None
    distinct: bool = False
    seeds: Count | None = None
    options: dict[str, Any] = field(default_factory=dict)
    alias: str = ""

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.alias or self.name

    @property
    def kind(self) -> Kind:
        """Kind of data, known before it is loaded; a name that nobody knows is refused when it is."""
        item = None if self.file is not None else CATALOGUE.get(self.name)
        return "table" if item is None else item.kind


@dataclass(frozen=True, kw_only=True)
class DetectorChoice:
    """A detector of a study.

    Parameters
    ----------
    name : str
        Registry name.
    label : str, optional
        What to call it in tables, where one detector is compared with other parameters of its own.
    parameters : dict, optional
        Parameters that differ from the defaults.
    max_train : int, optional
        Most training rows; more are thinned at random, and of a series the latest stay. For methods too slow for all.
    """

    name: str
    label: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    max_train: Annotated[int, Range(2)] | None = None

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.label or self.name


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one cell may take; a cell that takes more is stopped and stored as failed.

    Parameters
    ----------
    seconds : float, default=1800
        Wall time of one cell; cells that train together have the sum of theirs.
    memory_mb : float, default=3000
        Peak resident memory of the process, in megabytes.
    """

    seconds: Positive = 1800.0
    memory_mb: Positive = 3000.0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One fit of a study: everything that its result depends on, but for the content of the data.

    Attributes
    ----------
    data : DataChoice
        Which rows.
    detector : DetectorChoice
        Which method.
    protocol : str
        Name of the protocol.
    options : dict
        Its options, defaults included.
    regime : str
        What the detector is told about its training rows.
    contamination : float
        Share of injected anomalies in training.
    seed : int
        Seed of the split and of the fit.
    threshold : str
        Rule of the operational figures.
    """

    data: DataChoice
    detector: DetectorChoice
    protocol: str
    options: dict[str, Any]
    regime: str
    contamination: float
    seed: int
    threshold: str = "model"

    @property
    def coordinates(self) -> tuple[str, str, str, float, int]:
        """Data set, detector, regime, contamination and seed, as tables name them."""
        return self.data.title, self.detector.title, self.regime, self.contamination, self.seed

    @property
    def block(self) -> tuple[object, ...]:
        """What cells share that are trained together."""
        return *self.coordinates[:-1], self.seed // _BLOCK

    def key(self, fingerprint: str) -> str:
        """Return the content hash of the cell, given that of its rows."""
        what = {
            "data": fingerprint,
            "protocol": [self.protocol, self.options],
            "detector": [self.detector.name, self.detector.parameters, self.detector.max_train],
            "regime": self.regime,
            "contamination": self.contamination,
            "seed": self.seed,
            "threshold": self.threshold,
            "code": code_version(self.detector.name),
        }
        return hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=16).hexdigest()

    def document(self) -> dict[str, Any]:
        """Return the cell as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Cell":
        """Return the cell of a document."""
        data, detector = dict(document["data"]), dict(document["detector"])
        data["normal"] = None if data["normal"] is None else tuple(data["normal"])
        return cls(**{**document, "data": DataChoice(**data), "detector": DetectorChoice(**detector)})


@dataclass(frozen=True, kw_only=True)
class Study:
    """Data sets × detectors × regimes × contamination × seeds under one protocol.

    Parameters
    ----------
    name : str
        What to call it.
    data : tuple of DataChoice
        Data sets.
    detectors : tuple of DetectorChoice
        Detectors.
    protocol : str, default="house"
        One of :func:`whitecrow.study.protocol_names`.
    options : dict, optional
        Its options.
    regimes : tuple of str, default=("clean",)
        "clean", "contaminated" or both: what the detectors are told about their training rows. Where a protocol
        gives labels, the regime is "labelled" for every detector.
    contamination : tuple of float, default=(0.0,)
        Shares of injected anomalies in training.
    seeds : int, default=5
        Number of seeds, 0, 1, …; each draws a split and an initialisation.
    figures : tuple of str, default=("auroc", "average_precision", "f1_at_known_ratio", "operational_f1")
        Figures to report; all are stored. See :func:`whitecrow.study.figures.figures`.
    threshold : {"model", "quantile", "peaks-over-threshold"}, default="model"
        Rule of the operational figures: the detector's own, or one fitted on the same scores of training rows. None
        sees labels of the test.
    budget : Budget
        What a cell may take.
    description : str
        A sentence or two for the report.

    Raises
    ------
    ParameterError
        If a name is unknown, a value out of its range, the same cell is asked for twice, or the protocol, a detector
        or a figure does not go with a data set.
    """

    name: str
    data: tuple[DataChoice, ...]
    detectors: tuple[DetectorChoice, ...]
    protocol: str = "house"
    options: dict[str, Any] = field(default_factory=dict)
    regimes: tuple[str, ...] = ("clean",)
    contamination: tuple[float, ...] = (0.0,)
    seeds: Count = 5
    figures: tuple[str, ...] = ("auroc", "average_precision", "f1_at_known_ratio", "operational_f1")
    threshold: str = "model"
    budget: Budget = field(default_factory=Budget)
    description: str = ""

    def __post_init__(self) -> None:
        owner = f"study {self.name!r}"
        for title, values in (("data", self.data), ("detectors", self.detectors), ("regimes", self.regimes)):
            if not values:
                raise ParameterError(f"{owner}: {title} is empty. Name at least one.")
        check(owner, "seeds", self.seeds, Count)
        for share in self.contamination:
            check(owner, "contamination", share, Probability)
        for regime in self.regimes:
            if regime not in _REGIMES:
                raise ParameterError(f"{owner}: the regime {regime!r} is none of {', '.join(_REGIMES)}.")
        check_threshold(self.threshold)
        for choice in self.data:
            rule = self.protocol_for(choice)
            if choice.kind not in rule.kinds:
                raise ParameterError(
                    f"{owner}: {choice.title} is {choice.kind} data, and the protocol {rule.name} splits "
                    f"{' and '.join(rule.kinds)} data. Use one of: {', '.join(protocol_names(choice.kind))}."
                )
        for figure in check_metrics(self.figures):
            if figure.protocols and self.protocol not in figure.protocols:
                raise ParameterError(
                    f"{owner}: the figure {figure.name} is of the protocols {' and '.join(figure.protocols)}, not of "
                    f"{self.protocol}. Leave it out."
                )
        names = [choice.title for choice in self.data]
        titles = [choice.title for choice in self.detectors]
        shares = [f"{share:g}" for share in self.contamination]
        for what, listed in (("data set", names), ("detector", titles), ("contamination", shares)):
            if twice := sorted({entry for entry in listed if listed.count(entry) > 1}):
                raise ParameterError(
                    f"{owner}: the {what} {twice[0]} is named twice. Give each a name, alias or label of its own, or "
                    "leave one out."
                )
        for choice in self.detectors:
            self._check_detector(choice)

    def _check_detector(self, choice: DetectorChoice) -> None:
        cls = registry.load(choice.name)
        for data in self.data:
            if data.kind not in cls.kinds:
                raise ParameterError(
                    f"study {self.name!r}: {choice.title} takes {' and '.join(cls.kinds)} data, and {data.title} is "
                    f"{data.kind} data. Detectors for it: {', '.join(registry.names(data.kind))}."
                )
        accepted = parameter_fields(cls)
        for name, value in choice.parameters.items():
            if name in ("random_state", "regime", "n_replicas", "checkpoint", "verbose", "device"):
                raise ParameterError(f"study {self.name!r}: {choice.title} sets {name}, which the study itself sets.")
            if name not in accepted:
                near = difflib.get_close_matches(name, accepted, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise ParameterError(f"study {self.name!r}: {choice.name} has no parameter {name!r}.{hint}")
            check(choice.name, name, value, accepted[name].annotation)
        if cls.needs_labels and self.protocol != "semi-supervised":
            raise ParameterError(
                f"study {self.name!r}: {choice.name} learns from known anomalies, and the protocol {self.protocol} "
                "gives none. Use the protocol semi-supervised, or leave it out."
            )

    def protocol_for(self, choice: DataChoice) -> Protocol:
        """Return the protocol for one of the data sets."""
        return protocol(self.protocol, **{**self.options, **choice.options})

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, those of one data set and detector together."""
        return tuple(self._cells())

    def _cells(self) -> Iterator[Cell]:
        labelled = self.protocol == "semi-supervised"
        for data in self.data:
            options = asdict(self.protocol_for(data))
            seeds = self.seeds if data.seeds is None else min(data.seeds, self.seeds)
            for detector in self.detectors:
                for regime in ("labelled",) if labelled else self.regimes:
                    for share in self.contamination:
                        for seed in range(seeds):
                            yield Cell(
                                data=data, detector=detector, protocol=self.protocol, options=options,
                                regime=regime, contamination=float(share), seed=seed, threshold=self.threshold,
                            )  # fmt: skip

    def document(self) -> dict[str, Any]:
        """Return the study as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any], *, folder: Path | None = None) -> "Study":
        """Return the study of a document, as a TOML or YAML file or :meth:`document` has it.

        Data sets and detectors may be plain names, or tables with the fields of :class:`DataChoice` and
        :class:`DetectorChoice`. The table of a data set may also have ``each``: options of the protocol with a list
        of values each, of which every combination is a data set of its own, with the values in its alias.

        Parameters
        ----------
        document : mapping
            The fields of a study.
        folder : Path, optional
            Where the names of files start.

        Raises
        ------
        ParameterError
            If a field is unknown, missing or of the wrong type.
        """
        given = _fields("a study", cls, document, required=("name", "data", "detectors"))
        data = [choice for entry in _list("data", given["data"]) for choice in _choices(entry)]
        if folder is not None:
            data = [d if d.file is None else replace(d, file=str(folder / d.file)) for d in data]
        given["data"] = tuple(data)
        given["detectors"] = tuple(
            _entry("detectors", DetectorChoice, entry) for entry in _list("detectors", given["detectors"])
        )
        for name in ("regimes", "contamination", "figures"):
            if name in given:
                given[name] = tuple(_list(name, given[name]))
        if "budget" in given and not isinstance(given["budget"], Budget):
            given["budget"] = Budget(**_fields("budget", Budget, given["budget"]))
        return cls(**given)


def load_study(path: str | Path) -> Study:
    """Read a study from a TOML or YAML file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no TOML or YAML, or of another suffix.
    ParameterError
        If the study in it cannot be run.
    MissingExtraError
        If a YAML file is given and the extra ``yaml`` is not installed.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix == ".toml":
        import tomllib

        try:
            document = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FileFormatError(f"{file} is no TOML: {error}. Correct it there.") from error
    elif suffix in (".yaml", ".yml"):
        try:
            from yaml import YAMLError, safe_load
        except ImportError as error:
            raise missing_extra("pyyaml", "yaml", "A study in a YAML file") from error
        try:
            document = safe_load(file.read_text("utf-8"))
        except (YAMLError, UnicodeDecodeError) as error:
            raise FileFormatError(f"{file} is no YAML: {error}. Correct it there.") from error
    else:
        raise FileFormatError(f"{file}: a study is a .toml or a .yaml file.")
    if not isinstance(document, Mapping):
        raise FileFormatError(f"{file} holds {type(document).__name__}, not the fields of a study.")
    return Study.of({"name": file.stem, **document}, folder=file.parent)


@cache
def code_version(detector: str) -> str:
    """Return what stands for the code that a cell's result depends on: the release, and the file of the method."""
    source = inspect.getsource(inspect.getmodule(registry.load(detector)) or registry.load(detector))
    return f"{version('whitecrow')}+{hashlib.blake2b(source.encode(), digest_size=8).hexdigest()}"


def _list(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise ParameterError(f"A study's {name} is a list, not {value!r}. Write {name} = [...].")
    return value


def _choices(entry: Any) -> Iterator[DataChoice]:
    """Yield the data set of an entry, or one for each combination of the options that it lists under ``each``."""
    if not isinstance(entry, Mapping) or "each" not in entry:
        yield _entry("data", DataChoice, entry)
        return
    each = entry["each"]
    base: DataChoice = _entry("data", DataChoice, {name: value for name, value in entry.items() if name != "each"})
    if not isinstance(each, Mapping) or not each:
        raise ParameterError(f"The data set {base.title!r}: each is a table of options with lists, not {each!r}.")
    if both := sorted(set(each) & set(base.options)):
        raise ParameterError(f"The data set {base.title!r}: {both[0]} stands under options and under each. Keep one.")
    for values in product(*(_list(f"each.{name}", listed) for name, listed in each.items())):
        chosen = dict(zip(each, values, strict=True))
        alias = " ".join([base.title, *map(str, values)])
        yield replace(base, alias=alias, options={**base.options, **chosen})


def _entry(name: str, cls: type, entry: Any) -> Any:
    if isinstance(entry, cls):
        return entry
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, Mapping):
        raise ParameterError(f"An entry of {name} is a name or a table, not {entry!r}.")
    given = _fields(f"an entry of {name}", cls, entry, required=("name",))
    if given.get("normal") is not None:
        given["normal"] = tuple(map(str, _list("normal", given["normal"])))
    if cls is DataChoice and (given.get("file") is None) != (given.get("label") is None):
        raise ParameterError(f"The data set {given['name']!r}: file and label go together. Give both or neither.")
    return cls(**given)


def _fields(owner: str, cls: type, document: Any, required: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise ParameterError(f"{owner} is a table of fields, not {document!r}.")
    accepted = cls.__dataclass_fields__
    for name in document:
        if name not in accepted:
            near = difflib.get_close_matches(str(name), accepted, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ParameterError(f"{owner} has no field {name!r}.{hint} It has: {', '.join(accepted)}.")
    if lacking := [name for name in required if name not in document]:
        raise ParameterError(f"{owner} lacks {', '.join(lacking)}.")
    for name, value in document.items():
        annotation = accepted[name].type
        if annotation in (str, bool) or name in ("seeds", "max_train", "seconds", "memory_mb", "file", "label"):
            check(owner, str(name), value, annotation)
        elif name in ("options", "parameters") and not isinstance(value, Mapping):
            raise ParameterError(f"{owner}: {name} is a table, not {value!r}.")
    return dict(document)

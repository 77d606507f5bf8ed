"""What every protocol is: named, cited, with checked options, and from labels to indices of rows."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Natural, Probability, Range, check, fields
from whitecrow.core.spec import Kind
from whitecrow.data.contamination import inject_contamination
from whitecrow.metrics.inputs import binary

__all__ = ["Indices", "OpenShare", "Protocol", "RandomProtocol", "Split", "mix_in", "stratified", "with_ratio"]

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
Names = NDArray[np.str_]
OpenShare = Annotated[float, Range(0, 1, low_open=True, high_open=True)]

# Draws beside the split itself take a stream of their own, so that an option changes nothing else.
_SUBSAMPLE = 1


def _none() -> Indices:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which rows of a data set train and which test. Indices only: no row is copied.

    Attributes
    ----------
    train : ndarray of int64, shape (n_train,)
        Rows to train on. Where the protocol says that it ``overlaps``, a row may stand in it more than once.
    test : ndarray of int64, shape (n_test,)
        Rows to test on; with the same exception.
    injected : ndarray of int64, shape (n_injected,)
        Anomalies that were injected into ``train``. Those that stand among the training rows of their own are
        not in it.
    known : ndarray of int64, shape (n_known,)
        Rows of ``train`` whose label the detector may see; empty except under ``semi-supervised``.
    """

    train: Indices
    test: Indices
    injected: Indices = field(default_factory=_none)
    known: Indices = field(default_factory=_none)


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """Base of the protocols: from labels and a seed to the rows that train and the rows that test.

    A protocol is a frozen dataclass; its annotated fields are options, checked on construction. It holds no
    metric and no threshold.

    Attributes
    ----------
    name, description, source : str
        Name in the registry, one sentence, and whom to cite.
    faults : tuple of str
        What is wrong with the original, each said to be followed or avoided here.
    overlaps : bool
        Whether a row may both train and test, or stand in a part more than once.
    injects : bool
        Whether anomalies can be injected into training.
    kinds : tuple of str
        Kinds of data that it splits.
    in_order : bool
        Whether its rows are the steps of one series, in their order.

    Raises
    ------
    ParameterError
        If an option is out of its range.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    source: ClassVar[str]
    faults: ClassVar[tuple[str, ...]] = ()
    overlaps: ClassVar[bool] = False
    injects: ClassVar[bool] = True
    kinds: ClassVar[tuple[Kind, ...]] = ("table",)
    in_order: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, option in fields(type(self)).items():
            check(self.name, name, getattr(self, name), option.annotation)

    def labels(self, y: ArrayLike, families: ArrayLike | None = None) -> NDArray[Any]:
        """Return which rows are anomalies, shape (N,): those of the data set, unless an option chooses a class."""
        return np.asarray(y)

    def split(
        self,
        y: ArrayLike,
        *,
        seed: int,
        contamination: float = 0.0,
        families: ArrayLike | None = None,
        train_end: int | None = None,
    ) -> Split:
        """Return the rows that train and the rows that test.

        Parameters
        ----------
        y : array-like of {0, 1}, shape (N,)
            1 = anomaly, 0 = normal.
        seed : int
            Seed of every draw, at least 0. No global random state is read or changed.
        contamination : float, default=0.0
            Share of injected anomalies in the resulting training set, from 0 to below 1. For a fixed seed a
            smaller injection is part of a larger one.
        families : array-like of str, shape (N,), optional
            Kind of each row, for the protocols that tell kinds of anomaly apart.
        train_end : int, optional
            Where the training part of the data set ends, for the protocols that take it from there.

        Returns
        -------
        Split
            Indices into the N rows.

        Raises
        ------
        DataError
            If labels or families cannot be used, no row would train, or the test would lack a class.
        ParameterError
            If a number is out of its range or more anomalies are asked for than there are; the message names
            the largest share.
        """
        labels = binary(self.labels(y, families))
        if labels.all() or not labels.any():
            raise DataError(
                f"{self.name}: all {len(labels)} labels are {int(labels[0])}; a study needs normal rows (0) and "
                "anomalies (1). Give rows of both classes."
            )
        check(self.name, "seed", seed, Natural)
        check(self.name, "contamination", contamination, Probability)
        if contamination > 0 and not self.injects:
            raise ParameterError(
                f"{self.name}(contamination={contamination:g}): this protocol injects no anomalies, so the largest "
                "share is 0. Use robustness or house, which set anomalies aside for it."
            )
        names = None if families is None else _names(self.name, families, len(labels))
        split = self._sampled(labels, int(seed), float(contamination), names)
        self._require(split, labels)
        return split

    def _sampled(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        return self._split(y, seed, contamination, families)

    @abstractmethod
    def _split(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        """Return the split of checked labels."""

    def _require(self, split: Split, y: Flags) -> None:
        if not split.train.size:
            raise DataError(f"{self.name}: no row is left to train on. Give more normal rows.")
        tested = y[split.test]
        if not tested.any() or tested.all():
            missing = "a normal row" if tested.any() else "an anomaly"
            raise DataError(
                f"{self.name}: none of the {len(tested)} test rows is {missing}, "
                f"so that nothing can be measured on them. {self._remedy(y)}"
            )

    def _remedy(self, y: Flags) -> str:
        return "Give more rows of that class, or set fewer anomalies aside."


@dataclass(frozen=True, kw_only=True)
class RandomProtocol(Protocol):
    """Base of the protocols that can be followed on a random sample of the rows.

    Parameters
    ----------
    max_rows : int, optional
        Rows to draw first, each class in its share, where the data set has more. The draw depends on the seed
        alone.
    """

    max_rows: Annotated[int, Range(2)] | None = None

    def _sampled(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        if self.max_rows is None or len(y) <= self.max_rows:
            return self._split(y, seed, contamination, families)
        rows = stratified(y, self.max_rows, np.random.default_rng([self._seed(seed), _SUBSAMPLE]))
        part = self._split(y[rows], seed, contamination, None if families is None else families[rows])
        return Split(rows[part.train], rows[part.test], rows[part.injected], rows[part.known])

    def _seed(self, seed: int) -> int:
        """Return the seed that the split is drawn with."""
        return seed


def stratified(y: Flags, n_rows: int, rng: np.random.Generator) -> Indices:
    """Return ``n_rows`` rows at random, ascending, each class in its share and at least one of a class that exists."""
    classes = [np.flatnonzero(y), np.flatnonzero(~y)]
    n_anomalies = round(n_rows * len(classes[0]) / len(y))
    n_anomalies = min(max(n_anomalies, min(1, len(classes[0]))), n_rows - min(1, len(classes[1])))
    drawn = [rng.permutation(rows)[:n] for rows, n in zip(classes, (n_anomalies, n_rows - n_anomalies), strict=True)]
    return np.sort(np.concatenate(drawn))


def with_ratio(rows: Indices, y: Flags, ratio: float, rng: np.random.Generator) -> Indices:
    """Return ``rows`` less as many of one class as makes anomalies the share ``ratio``, ascending.

    No row is drawn twice: the class of which there are too many is thinned at random. The share is the nearest
    that whole rows allow.
    """
    anomalies, normal = (rng.permutation(rows[y[rows] == label]) for label in (True, False))
    n_anomalies = round(len(normal) * ratio / (1 - ratio))
    n_normal = len(normal)
    if n_anomalies > len(anomalies):
        n_anomalies, n_normal = len(anomalies), round(len(anomalies) * (1 - ratio) / ratio)
    return np.sort(np.concatenate([anomalies[:n_anomalies], normal[:n_normal]]))


def mix_in(normal: Indices, pool: Indices, contamination: float, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Return the training rows in random order, the first rows of ``pool`` among them, and those rows."""
    injected = inject_contamination(len(normal), pool, contamination)
    return rng.permutation(np.concatenate([normal, injected])), injected


def _names(owner: str, families: ArrayLike, n_rows: int) -> Names:
    names = np.asarray(families).astype(np.str_)
    if names.shape != (n_rows,):
        raise DataError(
            f"{owner}: families has the shape {names.shape}; accepted is one name for each of the {n_rows} rows."
        )
    return names

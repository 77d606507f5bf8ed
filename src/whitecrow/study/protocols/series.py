"""Protocols of time series, whose rows are steps in their order, and of a set of fixed windows."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.core.parameters import Count
from whitecrow.core.spec import Kind
from whitecrow.study.protocols.splits import Flags, Indices, Names, Protocol, Split, mix_in

__all__ = ["ECG5000Split", "NABSplit", "TSBADSplit"]

_PROBATION, _LONGEST_PROBATION = 0.15, 750  # share of a series, and steps


@dataclass(frozen=True, kw_only=True)
class _GivenPart(Protocol):
    """What the protocols share that take the training part from the data set.

    Parameters
    ----------
    train_end : int, optional
        First row that is not of the training part; by default as the data set says.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("sequence",)

    train_end: Count | None = None

    def split(
        self,
        y: ArrayLike,
        *,
        seed: int,
        contamination: float = 0.0,
        families: ArrayLike | None = None,
        train_end: int | None = None,
    ) -> Split:
        """Return the rows that train and the rows that test; see :meth:`Protocol.split`."""
        rule = self if self.train_end is not None or train_end is None else replace(self, train_end=train_end)
        return super(_GivenPart, rule).split(y, seed=seed, contamination=contamination, families=families)

    def _end(self, n: int) -> int:
        if self.train_end is None:
            raise ParameterError(
                f"{self.name}: this data set does not say where its training part ends. Say so: options = "
                "{ train_end = 1000 }."
            )
        if self.train_end >= n:
            raise ParameterError(
                f"{self.name}(train_end={self.train_end}): there are {n} rows, so that none is new. Take fewer."
            )
        return self.train_end


@dataclass(frozen=True, kw_only=True)
class TSBADSplit(_GivenPart):
    """The first steps of a series train; all of its steps are scored and tested, those that trained among them.

    The seed changes nothing but the initialisation.

    Parameters
    ----------
    train_end : int, optional
        First step that does not train; by default as the series says.
    """

    name: ClassVar[str] = "tsb-ad"
    description: ClassVar[str] = "The first steps of a series train; the whole series is scored, as TSB-AD does."
    source: ClassVar[str] = (
        'Q. Liu and J. Paparrizos, "The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection '
        'Benchmark", NeurIPS 2024.'
    )
    faults: ClassVar[tuple[str, ...]] = (
        "Followed: the steps that trained are tested with the others. They are normal, so figures are a little higher "
        "than on new steps alone.",
        "Followed: one split for each series, so the spread over seeds says nothing about the split.",
        "Avoided: the original scales training part and series each by its own statistics for deep methods; here "
        "scaling is learnt from the training part.",
        "Avoided: the original's F1 figures take the best threshold on the test; here such figures say so in their "
        "names, and those called operational have the detector's own.",
        "Stated: the original fits its unsupervised methods to the whole series; here all are fitted to the training "
        "part.",
        "Stated: VUS depends on its buffer, which is the period of the first channel here as there.",
    )
    overlaps: ClassVar[bool] = True
    injects: ClassVar[bool] = False
    in_order: ClassVar[bool] = True

    def _split(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        return Split(_normal_start(self, y, self._end(len(y))), np.arange(len(y)))


@dataclass(frozen=True, kw_only=True)
class NABSplit(Protocol):
    """The probationary period of a series trains, its first 15 % but at most 750 steps; the other steps test.

    The whole series is scored, so that the first tested steps have steps before them. The seed changes nothing but the
    initialisation.
    """

    name: ClassVar[str] = "nab"
    description: ClassVar[str] = "The probationary period of a series trains; the steps after it test."
    source: ClassVar[str] = (
        'A. Lavin and S. Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms: The Numenta Anomaly Benchmark", '
        "ICMLA 2015, arXiv:1510.03336."
    )
    faults: ClassVar[tuple[str, ...]] = (
        "Followed: windows of a tenth of each series stand for a few anomalous steps, and some of them are disputed.",
        "Followed: one split for each series, so the spread over seeds says nothing about the split.",
        "Avoided: the original chooses one threshold for all series by their labels; here NAB scores that are called "
        "operational have the detector's own.",
        "Stated: a cell is one series. The best NAB score on the test takes a threshold for each series, so it is "
        "above the benchmark's, and the mean over series is not the score of the corpus.",
        "Stated: the original is a stream. Detectors here do not learn after the probationary period, and may see "
        'later steps when they score (fold = "last" does not).',
        "Stated: a series without a window cannot be measured, and is refused.",
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("sequence",)
    injects: ClassVar[bool] = False
    in_order: ClassVar[bool] = True

    def _split(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        # A float just below a whole number of steps is that number.
        end = min(int(len(y) * _PROBATION + 1e-9), _LONGEST_PROBATION)
        return Split(_normal_start(self, y, end), np.arange(end, len(y)))


@dataclass(frozen=True, kw_only=True)
class ECG5000Split(_GivenPart):
    """Normal heartbeats of the archive's training part train; its test part tests.

    Contamination takes abnormal beats of the training part, nested over the shares. Without it the seed changes
    nothing but the initialisation.

    Parameters
    ----------
    train_end : int, optional
        First window that is not of the training part; by default as the data set says.
    """

    name: ClassVar[str] = "ecg5000"
    description: ClassVar[str] = "Normal windows of the archive's training part train; its test part tests."
    source: ClassVar[str] = (
        "Y. Chen et al., The UCR Time Series Classification Archive, 2015; A. L. Goldberger et al., PhysioBank, "
        "PhysioToolkit, and PhysioNet, Circulation 101(23), 2000."
    )
    faults: ClassVar[tuple[str, ...]] = (
        "Followed: one split for all runs, so the spread over seeds says nothing about the split.",
        "Followed: the shared copy is scaled with the ranges of the test part, so that the test reaches training.",
        "Followed: all beats are of one patient, and whole beats are told apart, not steps. The distance to the "
        "nearest training beat has an AUROC of 0.995, so a high figure proves little.",
        "Avoided: the shared copy calls the larger part its training part; here the smaller one trains, as in the "
        "archive.",
    )

    def _split(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        end = self._end(len(y))
        part = np.arange(end)
        pool = np.random.default_rng(seed).permutation(part[y[:end]])
        train, injected = mix_in(part[~y[:end]], pool, contamination, np.random.default_rng([seed, 1]))
        return Split(np.sort(train), np.arange(end, len(y)), injected)


def _normal_start(rule: Protocol, y: Flags, end: int) -> Indices:
    """Return the first ``end`` steps, all of them normal."""
    if y[:end].any():
        first = int(y.argmax())
        remedy = f"Set train_end to at most {first}." if isinstance(rule, _GivenPart) and first else "Leave it out."
        raise DataError(
            f"{rule.name}: {int(y[:end].sum())} of the first {end} steps, which train, are anomalies, the first of "
            f"them step {first}: what is to be found would be learnt as normal. {remedy}"
        )
    return np.arange(end)

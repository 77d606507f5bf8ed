"""Several detectors on the same records, in lock-step, with what each has caught and what it has cost."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.core.parameters import Count, Natural, check
from whitecrow.metrics import Costs
from whitecrow.workspace.stream.ahead import Reserve, Score
from whitecrow.workspace.stream.frames import Frame, Standing
from whitecrow.workspace.stream.outcomes import UNKNOWN, Counts, Money, outcome_codes
from whitecrow.workspace.stream.sources import SimulatedSource, Source

__all__ = ["Race", "anomaly_score"]


def anomaly_score(detector: Any, rows: pl.DataFrame) -> Any:
    """Return the detector's own scores."""
    return detector.anomaly_score(rows)


@dataclass(slots=True)
class _Lane:
    """One detector in the race, and its outcomes so far."""

    threshold: float
    counts: Counts = field(default_factory=Counts)
    recent: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    caught: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        self.counts, self.recent, self.caught = Counts(), np.zeros(0, np.int8), Counter()


class Race:
    """Detectors that judge the same records at the same time.

    Records are scored some way ahead, in blocks. A record's score depends on no other record and its flag is decided
    when it is handed out, so nothing that a frame says depends on how many records are scored or stepped at once.
    One thread at a time may use a race.

    Parameters
    ----------
    source : Source
        Where the records come from; the race alone takes from it.
    detectors : mapping of str to detector
        Fitted detectors by name, or whatever ``score`` takes.
    thresholds : mapping of str to float, optional
        Thresholds by name; a detector that it does not name has its own, ``threshold_``.
    costs : Costs, optional
        What the outcomes cost. None counts no money.
    score : callable, default=anomaly_score
        Returns the scores of records without their labels, [n], higher = more anomalous.
    ahead : int, default=256
        Records to score at once, where there are as many; for large steps up to 1,024. More costs less in all, but
        holds up the step that it falls into for longer.
    window : int, default=1000
        Records that count as recent.
    background : bool, default=False
        Score the next block in a thread of its own while the present one is handed out, so that no step has to wait
        as long as the detectors keep up. A race that does is to be closed.

    Raises
    ------
    ParameterError
        If there is no detector, a threshold is not finite, or a number is out of its range.
    UnknownNameError
        If a threshold is for no detector.
    """

    def __init__(
        self,
        source: Source,
        detectors: Mapping[str, Any],
        thresholds: Mapping[str, float] | None = None,
        costs: Costs | None = None,
        *,
        score: Score = anomaly_score,
        ahead: int = 256,
        window: int = 1000,
        background: bool = False,
    ) -> None:
        if not detectors:
            raise ParameterError("Race(detectors={}): at least one detector is needed.")
        check("Race", "ahead", ahead, Count)
        check("Race", "window", window, Count)
        self.source = source
        self.costs = costs
        given = thresholds or {}
        self._lanes = {
            name: _Lane(given[name] if name in given else float(detector.threshold_))
            for name, detector in detectors.items()
        }
        for name, threshold in given.items():
            self.set_threshold(name, threshold)
        self._window = window
        self._seen: Counter[str] = Counter()
        self._position = source.position
        self._reserve = Reserve(source, detectors, score, ahead, background=background)

    @property
    def position(self) -> int:
        """Number of the record that comes next."""
        return self._position

    @property
    def thresholds(self) -> dict[str, float]:
        """Threshold of each detector."""
        return {name: lane.threshold for name, lane in self._lanes.items()}

    def set_threshold(self, name: str, value: float) -> None:
        """Set a detector's threshold from the next record on; what was decided before stays as it was decided.

        Totals therefore tell what an analyst would have seen and paid. To see the past with this threshold, rewind.

        Raises
        ------
        UnknownNameError
            If there is no such detector.
        ParameterError
            If the value is not a finite number.
        """
        if name not in self._lanes:
            raise UnknownNameError(f"There is no detector {name!r} in this race. There are: {', '.join(self._lanes)}.")
        check("set_threshold", "value", value, float)
        self._lanes[name].threshold = float(value)

    def set_attacks(self, attack_rate: float | None = None, mix: Mapping[str, float] | None = None) -> None:
        """Change the attacks of a simulated source from the next record on.

        Parameters
        ----------
        attack_rate, mix
            As :meth:`whitecrow.data.traffic_stream.TrafficStream.set_attacks` takes them.

        Raises
        ------
        ParameterError
            If an argument is out of its range.
        DataError
            If the source is no simulation.
        """
        if not isinstance(self.source, SimulatedSource):
            raise DataError(
                "Only a simulated stream has attacks that can be changed; these records are replayed or live."
            )
        self._reserve.settle()
        ahead = self.source.position
        self.source.seek(self._position)
        try:
            self.source.set_attacks(attack_rate, mix)
        except ParameterError:
            self.source.seek(ahead)
            raise
        self._reserve.forget()  # what was scored ahead comes from a stream that is no more

    def rewind(self, position: int = 0) -> None:
        """Start again from a record, with nothing counted and the thresholds and costs of now.

        Raises
        ------
        ParameterError, DataError
            If the source has no such record any more; the race stays where it was.
        """
        check("rewind", "position", position, Natural)
        self._reserve.settle()
        self.source.seek(position)
        self._reserve.forget()
        self._position = position
        self._seen.clear()
        for lane in self._lanes.values():
            lane.reset()

    def step(self, n: int) -> Frame:
        """Let every detector judge the next records.

        Parameters
        ----------
        n : int
            At most so many: fewer at the end of the source, or while no more have come.

        Raises
        ------
        ParameterError
            If ``n`` is not a number of records.
        DataError
            If records cannot be scored, or a score is not finite. The race stays where it was, and so does its source.
        """
        check("step", "n", n, Natural)
        records, features = self._reserve.take(n)
        first, self._position = self._position, self._position + records.height
        truth = records["label"].fill_null(UNKNOWN).to_numpy()
        anomalies = np.flatnonzero(truth == 1)
        families = records["family"].gather(anomalies).to_list()
        self._seen.update(name for name in families if name is not None)
        flags = []
        for name, lane in self._lanes.items():
            flagged = records[f"score {name}"].to_numpy() > lane.threshold
            codes = outcome_codes(truth, flagged)
            lane.counts = lane.counts + Counts.of(codes)
            lane.recent = np.concatenate([lane.recent, codes])[-self._window :]
            hits = flagged[anomalies].tolist()
            lane.caught.update(f for f, hit in zip(families, hits, strict=True) if hit and f is not None)
            flags.append(pl.Series(f"flag {name}", flagged))
        return Frame(first, records.height, records.hstack(flags), features, self.standings())

    def standings(self) -> dict[str, Standing]:
        """Return how each detector stands now."""
        return {
            name: Standing(
                lane.threshold,
                lane.counts,
                Counts.of(lane.recent),
                {family: (lane.caught[family], seen) for family, seen in sorted(self._seen.items())},
                None if self.costs is None else Money.of(lane.counts, self.costs),
            )
            for name, lane in self._lanes.items()
        }

    def close(self) -> None:
        """End the thread of the background; ``with Race(...) as race`` does so at its end."""
        self._reserve.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

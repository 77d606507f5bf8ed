"""An endless, seeded stream of SYNTHETIC connections: the invented office network, week after week."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple, Self

import numpy as np
import polars as pl

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Count, Natural, NonNegative, Range, check
from whitecrow.data.traffic import KINDS, traffic_table
from whitecrow.data.traffic_attacks import ATTACKS

__all__ = ["USUAL_MIX", "Change", "TrafficStream"]

USUAL_MIX = {kind: share for kind, (share, _) in ATTACKS.items()}
"""Share of each kind among the attacks, as :func:`whitecrow.data.traffic.simulate_traffic` has it."""

_START = datetime(2024, 3, 4)  # a Monday
_DAYS = 7
_BLOCK_ROWS = 2000
_KEPT_WEEKS = 2
_RARE = "Attacks are the rare class here."


class Change(NamedTuple):
    """From which record on the stream has which attacks."""

    position: int
    attack_rate: float
    mix: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Settings:
    attack_rate: float
    shares: tuple[float, ...]  # of the kinds, in the order of KINDS


@dataclass(frozen=True, slots=True)
class _Segment:
    """Records from ``position`` on: those of ``week`` from row ``offset`` on, then the weeks after it."""

    position: int
    week: int
    offset: int
    settings: _Settings
    after: datetime | None  # when the record before it was seen


class TrafficStream(Iterator[pl.DataFrame]):
    """Connections without end, in the order of time, attacks among them (SYNTHETIC data).

    The stream is a sequence of weeks. Week k is simulated by itself, as :func:`whitecrow.data.traffic.traffic_table`
    does it, with a seed of its own that ``numpy.random.SeedSequence(seed, spawn_key=(k,))`` gives: any record can
    be reached at the cost of one week, no week repeats another, and none is the table of ``seed`` itself, on which
    a detector may have been fitted. Counts over sliding windows start anew each Monday at midnight, when hardly
    anything happens; they are sound everywhere else.

    How the records are taken (in which numbers, after which jumps) makes no difference to what they are.

    Parameters
    ----------
    seed : int, default=0
        The same seed, settings and changes give the same stream, bit for bit.
    attack_rate : float, default=0.02
        Share of attacks, from 0 to 0.5; each week has ``round(week_rows * attack_rate)`` of them.
    mix : mapping of str to float, optional
        Weight of each kind of attack, at least 0; kinds that it does not name do not occur. By default
        :data:`USUAL_MIX`.
    week_rows : int, default=20_000
        Connections in a week. Columns that count over time depend on it, so it should be that of the table that the
        detectors were fitted on; the default is that of ``simulate_traffic()``.
    start : datetime, optional
        The first day, by default Monday 4 March 2024; its time of day is ignored.

    Raises
    ------
    ParameterError
        If an argument is out of its range.

    Examples
    --------
    >>> stream = TrafficStream(seed=1, attack_rate=0.05)
    >>> first = stream.take(100)
    >>> stream.seek(0)
    >>> stream.take(100).equals(first)
    True
    """

    def __init__(
        self,
        seed: int = 0,
        attack_rate: float = 0.02,
        mix: Mapping[str, float] | None = None,
        *,
        week_rows: int = 20_000,
        start: datetime | None = None,
    ) -> None:
        check("TrafficStream", "seed", seed, Natural)
        check("TrafficStream", "week_rows", week_rows, Count)
        check("TrafficStream", "start", start, datetime | None)
        settings = _Settings(_rate(attack_rate), _shares(USUAL_MIX if mix is None else mix))
        self._seed, self._rows = seed, week_rows
        self._start = datetime.combine((start or _START).date(), datetime.min.time())
        self._last_week = (datetime.max - self._start).days // _DAYS - 1
        self._segments = [_Segment(0, 0, 0, settings, None)]
        self._position = 0
        self._weeks: OrderedDict[tuple[int, _Settings], pl.DataFrame] = OrderedDict()

    @property
    def position(self) -> int:
        """Number of the record that comes next, from 0."""
        return self._position

    @property
    def attack_rate(self) -> float:
        """Share of attacks among the records that come next."""
        return self._segment(self._position).settings.attack_rate

    @property
    def mix(self) -> dict[str, float]:
        """Share of each kind among the attacks that come next, summing to 1."""
        return dict(zip(KINDS, self._segment(self._position).settings.shares, strict=True))

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every change of the attacks; to seek to each and set it gives the same stream again."""
        return tuple(
            Change(s.position, s.settings.attack_rate, dict(zip(KINDS, s.settings.shares, strict=True)))
            for s in self._segments[1:]
        )

    def take(self, n: int) -> pl.DataFrame:
        """Return the next ``n`` records and move on.

        Parameters
        ----------
        n : int
            At least 0.

        Returns
        -------
        polars.DataFrame
            ``n`` rows with the columns of :func:`whitecrow.data.traffic.traffic_table`: ``label`` is "normal" or the
            kind of attack, the others are what a monitor sees.

        Raises
        ------
        ParameterError
            If ``n`` is not a number of records, or the stream's calendar ends (with the year 9999).
        """
        check("take", "n", n, Natural)
        self._check_within(self._position + n)
        pieces: list[pl.DataFrame] = []
        at, end = self._position, self._position + n
        while at < end or not pieces:
            segment = self._segment(at)
            week, row = self._place(segment, at)
            # Behind a rewind there are changes ahead.
            until = min((s.position for s in self._segments if s.position > at), default=end)
            piece = self._week(week, segment.settings).slice(row, min(end, until) - at)
            pieces.append(piece)
            at += piece.height
        self._position = end
        return pl.concat(pieces) if len(pieces) > 1 else pieces[0]

    def seek(self, position: int) -> None:
        """Go to any record, back or forth; changes of the attacks stay where they were made.

        Raises
        ------
        ParameterError
            If it is not the number of a record.
        """
        check("seek", "position", position, Natural)
        self._check_within(position)
        self._position = position

    def set_attacks(self, attack_rate: float | None = None, mix: Mapping[str, float] | None = None) -> None:
        """Change the attacks from the next record on.

        The week goes on at the same moment as if it had had these attacks from its beginning, so the columns that
        look back see no seam. Changes that were made for later records are dropped.

        Parameters
        ----------
        attack_rate : float, optional
            Share of attacks, from 0 to 0.5; by default it stays.
        mix : mapping of str to float, optional
            Weights of the kinds; by default they stay.

        Raises
        ------
        ParameterError
            If an argument is out of its range.
        """
        segment = self._segment(self._position)
        settings = _Settings(
            segment.settings.attack_rate if attack_rate is None else _rate(attack_rate),
            segment.settings.shares if mix is None else _shares(mix),
        )
        self._segments = [s for s in self._segments if s.position <= self._position]
        if settings == segment.settings:
            return
        week, _ = self._place(segment, self._position)
        seen = self._seen_until(segment)
        offset = 0
        if seen is not None:
            offset = int(self._week(week, settings)["timestamp"].search_sorted(seen, side="right"))
        if offset == self._rows:
            week, offset = week + 1, 0
        if segment.position == self._position:
            self._segments.pop()
        self._segments.append(_Segment(self._position, week, offset, settings, seen))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pl.DataFrame:
        return self.take(_BLOCK_ROWS)

    def _segment(self, position: int) -> _Segment:
        return self._segments[bisect_right(self._segments, position, key=lambda s: s.position) - 1]

    def _place(self, segment: _Segment, position: int) -> tuple[int, int]:
        """Return the week and the row in it at which a record of a segment stands."""
        weeks, row = divmod(segment.offset + position - segment.position, self._rows)
        return segment.week + weeks, row

    def _seen_until(self, segment: _Segment) -> datetime | None:
        if segment.position == self._position:
            return segment.after
        week, row = self._place(segment, self._position - 1)
        return self._week(week, segment.settings)["timestamp"][row]

    def _check_within(self, position: int) -> None:
        last = self._last_week * self._rows
        if position > last:
            raise ParameterError(
                f"TrafficStream: record {position:,} lies beyond the year 9999; records are numbered from 0 to "
                f"{last - 1:,}. Seek to an earlier one."
            )

    def _week(self, week: int, settings: _Settings) -> pl.DataFrame:
        key = (week, settings)
        if key not in self._weeks:
            start = self._start + timedelta(days=_DAYS * week)
            seed, mix = _week_seed(self._seed, week), dict(zip(KINDS, settings.shares, strict=True))
            self._weeks[key] = traffic_table(self._rows, settings.attack_rate, seed, _DAYS, start, mix)
        self._weeks.move_to_end(key)
        while len(self._weeks) > _KEPT_WEEKS:
            self._weeks.popitem(last=False)
        return self._weeks[key]


def _rate(attack_rate: float) -> float:
    check("TrafficStream", "attack_rate", attack_rate, Annotated[float, Range(0, 0.5, remedy=_RARE)])
    return float(attack_rate)


def _shares(mix: Mapping[str, float]) -> tuple[float, ...]:
    if unknown := [kind for kind in mix if kind not in KINDS]:
        raise ParameterError(
            f"TrafficStream(mix={dict(mix)!r}): there is no attack {unknown[0]!r}. The kinds are: {', '.join(KINDS)}."
        )
    for weight in mix.values():
        check("TrafficStream", "mix", weight, NonNegative)
    total = float(sum(mix.values()))
    if not 0 < total < float("inf"):
        raise ParameterError(
            f"TrafficStream(mix={dict(mix)!r}): at least one weight must be above 0. For a stream without attacks "
            "set attack_rate=0."
        )
    # Rounded, so that the shares of a stream, given as weights, are the same shares again.
    return tuple(round(mix.get(kind, 0.0) / total, 12) for kind in KINDS)


def _week_seed(seed: int, week: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(week,)).generate_state(1, np.uint64)[0])

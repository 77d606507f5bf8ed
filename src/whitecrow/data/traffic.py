"""A SYNTHETIC network: connection records of an invented office, with labelled attacks.

The records are simulated, not captured: use them to learn, to demonstrate and to test, never as evidence
that a detector works on a real network. Rhythm, volumes and hosts are those of
:mod:`whitecrow.data.traffic_network`, the attacks those of :mod:`whitecrow.data.traffic_attacks`; every
count and share is computed from the simulated stream itself, from the current and earlier rows only.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.parameters import Count, Natural, Range, check
from whitecrow.data.catalogue import Dataset, entry
from whitecrow.data.traffic_attacks import ATTACKS, Variant
from whitecrow.data.traffic_network import (
    FLAGS,
    HOSTS,
    PORTS,
    PROFILES,
    PROTOCOLS,
    SERVICES,
    Profile,
    host_indices,
    rhythm,
    weights,
)
from whitecrow.data.traffic_windows import Groups, count_in_last_rows

__all__ = ["KINDS", "simulate_traffic", "traffic_table"]

KINDS = tuple(ATTACKS)
_START = datetime(2024, 3, 4)  # a Monday
_RARE = "Attacks are the rare class here."
_SF, _REJ = FLAGS.index("SF"), FLAGS.index("REJ")
_SILENT = [FLAGS.index(name) for name in ("REJ", "S0")]
_CUT = [FLAGS.index(name) for name in ("RSTO", "RSTR", "S1")]
_ROWS = 20  # a window by rows: the last 20 connections of a source, a destination or a pair
_BURST = 5  # rows that a momentary rate is taken over
_LONGEST_GAP = 86_400.0
_NORMAL = -1

# One array per property of a connection, all of the same length.
Flows = dict[str, NDArray[Any]]


def simulate_traffic(
    rows: int = 20_000,
    attack_rate: float = 0.02,
    seed: int = 0,
    days: int = 7,
    start: datetime | None = None,
) -> Dataset:
    """Simulate the connections of an invented office network, attacks among them (SYNTHETIC data).

    Parameters
    ----------
    rows : int, default=20_000
        Connections to simulate, at least 1.
    attack_rate : float, default=0.02
        Share of attack connections, from 0 to 0.5. Exactly ``round(rows * attack_rate)`` rows are attacks.
    seed : int, default=0
        The same seed and arguments give the same table, bit for bit.
    days : int, default=7
        Days that the rows spread over, 1 to 366.
    start : datetime, optional
        The first day, by default Monday 4 March 2024; its time of day is ignored.

    Returns
    -------
    Dataset
        ``X`` is a polars.DataFrame in the order of time, ``y`` its labels, ``families`` "normal" or the kind
        of attack (see :data:`KINDS`).

    Raises
    ------
    ParameterError
        If an argument is out of its range.

    Examples
    --------
    >>> data = simulate_traffic(rows=1000, attack_rate=0.05, seed=1)
    >>> data.X.height, int(data.y.sum())
    (1000, 50)
    """
    table, families = _simulate(rows, attack_rate, seed, days, start)
    return entry("traffic-sim").dataset(table, (families != "normal").astype(np.int8), families)


def traffic_table(
    rows: int = 20_000,
    attack_rate: float = 0.02,
    seed: int = 0,
    days: int = 7,
    start: datetime | None = None,
    mix: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Simulate connections as one table with a ``label`` column (SYNTHETIC data).

    ``label`` is "normal" or the kind of attack. It is the only column that knows; parameters and errors are
    those of :func:`simulate_traffic`, and ``mix`` gives the kinds of attack these weights, of which one at least is
    above 0.

    Returns
    -------
    polars.DataFrame
        The columns of :func:`simulate_traffic`, then ``label``.
    """
    table, families = _simulate(rows, attack_rate, seed, days, start, mix)
    return table.with_columns(pl.Series("label", families))


def _simulate(
    rows: int, attack_rate: float, seed: int, days: int, start: datetime | None, mix: Mapping[str, float] | None = None
) -> tuple[pl.DataFrame, NDArray[np.str_]]:
    _check(rows, attack_rate, seed, days, start)
    start = datetime.combine((start or _START).date(), datetime.min.time())
    # Two streams: the ordinary traffic of a seed does not depend on what the attacks draw.
    ordinary, hostile = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    n_attacks = round(rows * attack_rate)
    clock = _Clock(days, start.weekday())
    parts = [
        _ordinary_flows(profile, count, clock, ordinary)
        for profile, count in zip(PROFILES, _split(rows - n_attacks, [p.share for p in PROFILES]), strict=True)
    ]
    shares = [share if mix is None else mix.get(kind, 0.0) for kind, (share, _) in ATTACKS.items()]
    for kind, count in enumerate(_split(n_attacks, shares)):
        variants = ATTACKS[KINDS[kind]][1]
        for variant, part in zip(variants, _split(count, [v.share for v in variants]), strict=True):
            parts.append({**_attack_flows(variant, part, clock, hostile), "kind": np.full(part, kind)})
    flows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(flows["time"], kind="stable")
    flows = {name: values[order] for name, values in flows.items()}
    return _table(flows, start), np.array(["normal", *KINDS])[flows["kind"] + 1]


def _check(rows: int, attack_rate: float, seed: int, days: int, start: datetime | None) -> None:
    check("simulate_traffic", "rows", rows, Count)
    check("simulate_traffic", "attack_rate", attack_rate, Annotated[float, Range(0, 0.5, remedy=_RARE)])
    check("simulate_traffic", "seed", seed, Natural)
    check("simulate_traffic", "days", days, Annotated[int, Range(1, 366)])
    check("simulate_traffic", "start", start, datetime | None)


class _Clock:
    """Turns quantiles into seconds since the start, by the rhythm of a kind of traffic."""

    def __init__(self, days: int, weekday: int) -> None:
        self._days, self._weekday, self.span = days, weekday, days * 86_400.0

    def at(self, quantiles: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        edges = np.concatenate([[0.0], np.cumsum(rhythm(name, self._days, self._weekday))])
        return np.interp(quantiles, edges, np.arange(len(edges)) * 3600.0)


def _split(total: int, shares: ArrayLike) -> list[int]:
    """Split ``total`` into whole numbers by ``shares``, the largest remainders rounded up."""
    exact = total * np.asarray(shares) / np.sum(shares)
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts.tolist()


def _even(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Return ``size`` quantiles, one from each of as many equal slices of [0, 1), in random order."""
    return rng.permutation((np.arange(size) + rng.random(size)) / max(size, 1))


def _pick(quantiles: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.searchsorted(np.cumsum(shares)[:-1] / np.sum(shares), quantiles, side="right")


def _hosts(quantiles: NDArray[np.float64], group: str) -> NDArray[np.int64]:
    hosts = host_indices(group)
    return hosts[_pick(quantiles, weights(hosts))]


def _sessions(rng: np.random.Generator, count: int, burst: float) -> NDArray[np.int64]:
    """Return the session that each of ``count`` rows belongs to, ascending from 0 without gaps."""
    lengths = rng.geometric(1 / burst, size=count)
    return np.repeat(np.arange(count), lengths)[:count]


def _within(session: NDArray[np.int64], pauses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the seconds since the start of each row's session; a session's first pause does not count."""
    elapsed = np.cumsum(pauses)
    return elapsed - elapsed[np.searchsorted(session, session)]


def _ordinary_flows(profile: Profile, count: int, clock: _Clock, rng: np.random.Generator) -> Flows:
    session = _sessions(rng, count, profile.burst)
    n_sessions = int(session[-1]) + 1 if count else 0
    source = _hosts(rng.random(n_sessions), profile.source)[session]
    destination = _hosts(rng.random(n_sessions), profile.destination)[session]
    if profile.period_jitter is None:
        start = clock.at(rng.random(n_sessions), profile.rhythm)[session]
        time = start + _within(session, rng.exponential(profile.pause, count))
    else:
        time = _clockwork(profile, source, clock, rng)
    return _flows(profile, time, source, destination, np.full(count, SERVICES.index(profile.service)), clock, rng)


def _clockwork(
    profile: Profile, source: NDArray[np.int64], clock: _Clock, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return times at which each source acts with a period of its own, jittered."""
    time = np.empty(len(source))
    for host in np.unique(source):
        rows = np.flatnonzero(source == host)
        period = clock.span / len(rows)
        jitter = (profile.period_jitter or 0.0) * period * rng.standard_normal(len(rows))
        time[rows] = (np.arange(len(rows)) + rng.random()) * period + jitter
    return time


def _attack_flows(variant: Variant, count: int, clock: _Clock, rng: np.random.Generator) -> Flows:
    n_campaigns = min(max(round(count / variant.campaign), 3), 60, count)
    campaign = np.repeat(np.arange(n_campaigns), _split(count, rng.lognormal(0.0, 0.4, n_campaigns)))

    def draw(what: str) -> NDArray[np.float64]:
        # Campaigns are spread evenly over hosts and time, so that no host or day gives a kind away by chance.
        return _even(rng, n_campaigns)[campaign] if what in variant.keeps else _even(rng, count)

    starts = clock.at(np.sort(_even(rng, n_campaigns)), "office")
    flows = _flows(
        variant,
        starts[campaign] + _within(campaign, _pauses(rng, variant, count)),
        _hosts(draw("source"), variant.source),
        _hosts(draw("destination"), variant.destination),
        np.array([SERVICES.index(name) for name in variant.services])[
            _pick(draw("service"), np.ones(len(variant.services)))
        ],
        clock,
        rng,
    )
    if variant.any_port:
        flows["port"] = rng.integers(1, 10_000, count)
    return flows


def _pauses(rng: np.random.Generator, variant: Variant, count: int) -> NDArray[np.float64]:
    if variant.jitter is None:
        return rng.exponential(variant.pause, count)
    return variant.pause * np.maximum(1 + variant.jitter * rng.standard_normal(count), 0.05)


def _flows(
    way: Profile | Variant,
    time: NDArray[np.float64],
    source: NDArray[np.int64],
    destination: NDArray[np.int64],
    service: NDArray[np.int64],
    clock: _Clock,
    rng: np.random.Generator,
) -> Flows:
    """Return connections with volumes that hang together: long ones carry more, in both directions."""
    n = len(time)
    size = rng.standard_normal(n)
    seconds, out, back = (
        median * np.exp(way.spread * (0.75 * size + 0.66 * rng.standard_normal(n))) for median in way.volume
    )
    # One connection in fifty is a giant: the tail is Pareto's, heavier than the log-normal body.
    giant = np.where(rng.random(n) < 0.02, 1 + rng.pareto(1.5, n), 1.0)
    seconds, out, back = seconds * np.sqrt(giant), out * giant, back * giant
    states = np.array([_SF, *(FLAGS.index(name) for name, _ in way.flags)])
    shares = np.array([1 - sum(share for _, share in way.flags), *(share for _, share in way.flags)])
    flag = states[_pick(rng.random(n), shares)]
    silent = np.isin(flag, _SILENT)  # no answer or a refusal: nothing is carried
    cut = np.isin(flag, _CUT)  # broken off on the way
    part = np.where(silent, 0.0, np.where(cut, rng.random(n), 1.0))
    ephemeral = rng.integers(1024, 10_000, n)
    ports = np.array([PORTS[name] for name in SERVICES])[service]
    return {
        "time": time % clock.span,
        "source": source,
        "destination": destination,
        "service": service,
        "protocol": np.full(n, PROTOCOLS.index(way.protocol)),
        "flag": flag,
        "seconds": np.where(silent, np.where(flag == _REJ, 0.002, 3.0) * rng.random(n), seconds * part),
        "bytes_out": np.minimum(np.ceil(out * part), 5e9),
        "bytes_in": np.minimum(np.ceil(back * part), 5e9),
        "overhead": rng.integers(0, 3, n),
        "port": np.where(ports == 0, ephemeral, ports),
        "kind": np.full(n, _NORMAL),
    }


def _table(flows: Flows, start: datetime) -> pl.DataFrame:
    # A monitor's clock has milliseconds; rounding down keeps the last row within the last day.
    milliseconds = np.floor(flows["time"] * 1e3).astype(np.int64)
    time = milliseconds / 1e3
    failed = flows["flag"] != _SF
    silent = np.isin(flows["flag"], _SILENT)
    out, back = flows["bytes_out"], flows["bytes_in"]
    # Full segments carry 1,380 bytes; every second segment is acknowledged; opening and closing add a few.
    opening = np.where(flows["protocol"] == PROTOCOLS.index("tcp"), 3, 0)
    packets_out = np.ceil(out / 1380) + np.ceil(back / 2760) + np.where(silent, 1, opening) + flows["overhead"]
    packets_in = np.ceil(back / 1380) + np.ceil(out / 2760) + np.where(silent, 0, opening)
    packets_in = np.where(flows["flag"] == FLAGS.index("S0"), 0, packets_in + (flows["flag"] == _REJ))
    packets_out = np.maximum(packets_out, 1)
    by_source = Groups(flows["source"], time)
    by_destination = Groups(flows["destination"], time)
    by_pair = Groups(flows["source"] * len(HOSTS) + flows["destination"], time)
    gap = by_pair.gap(_LONGEST_GAP)
    timestamp = pl.Series(milliseconds).cast(pl.Duration("ms")) + start
    return pl.DataFrame(
        {
            "timestamp": timestamp,
            "hour": timestamp.dt.hour(),
            "source": _enum(flows["source"], HOSTS),
            "destination": _enum(flows["destination"], HOSTS),
            "protocol": _enum(flows["protocol"], PROTOCOLS),
            "service": _enum(flows["service"], SERVICES),
            "flag": _enum(flows["flag"], FLAGS),
            "duration": np.round(flows["seconds"], 3),
            "bytes_out": out.astype(np.int64),
            "bytes_in": back.astype(np.int64),
            "packets_out": packets_out.astype(np.int64),
            "packets_in": packets_in.astype(np.int64),
            "packet_size_out": np.round(out / packets_out, 1),
            "packet_size_in": np.round(back / np.maximum(packets_in, 1), 1),
            "source_count_10min": by_source.count(600.0),
            "source_rate": np.round(by_source.rate(3), 2),
            "source_bytes_out_10min": by_source.total(out, 600.0).astype(np.int64),
            "source_failed_share": by_source.share(failed, _ROWS),
            "source_same_service_share": by_source.share_equal(flows["service"], _ROWS),
            "source_distinct_hosts": by_source.distinct(flows["destination"], _ROWS),
            "source_distinct_ports": by_source.distinct(flows["port"], _ROWS),
            "destination_count_100": count_in_last_rows(flows["destination"], 100),
            "destination_failed_share": by_destination.share(failed, _ROWS // 2),
            "destination_distinct_sources": by_destination.distinct(flows["source"], _ROWS),
            "destination_rate": np.round(by_destination.rate(3), 2),
            "pair_gap": np.round(gap, 3),
            "pair_failed_share": by_pair.share(failed, _BURST),
            "pair_rate": np.round(by_pair.rate(3), 2),
        }
    )


def _enum(codes: NDArray[np.int64], levels: tuple[str, ...]) -> pl.Series:
    return pl.Series(levels, dtype=pl.Enum(levels)).gather(codes)

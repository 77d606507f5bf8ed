"""What an explanation shows is what the table held, in its own units, however the columns were scaled."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import get_args

import numpy as np
import polars as pl
import pytest

import whitecrow
from whitecrow.data.columns import Scaling
from whitecrow.detectors import Detector
from whitecrow.detectors.tabular.pca import PCA
from whitecrow.explain import explain
from whitecrow.explain.originals import find_originals
from whitecrow.explain.samples import explain_step

NUMBERS = ("large", "offset", "tiny", "heavy", "negative", "single", "holes", "count", "wide", "seconds")


def magnitudes(n: int = 400, seed: int = 5) -> pl.DataFrame:
    """Return columns of every kind, whose numbers reach from a millionth to billions."""
    rng = np.random.default_rng(seed)
    start = datetime(2026, 3, 2, 9)
    heavy = 1e-3 * rng.pareto(0.7, n)
    return pl.DataFrame(
        {
            "large": 1e9 * rng.random(n),
            "offset": 1e9 + rng.normal(size=n),
            "tiny": 1e-6 * rng.lognormal(size=n),
            "heavy": heavy,
            "negative": -1e4 * rng.lognormal(0, 3, n),
            "single": rng.normal(size=n).astype(np.float32),
            "holes": [None if k % 7 == 0 else float("nan") if k % 11 == 0 else v for k, v in enumerate(rng.random(n))],
            "count": rng.integers(0, 3_000_000_000, n),
            "wide": rng.integers(-(2**50), 2**50, n),
            "seconds": [timedelta(microseconds=int(v)) for v in rng.integers(1, 10**12, n)],
            "up": rng.random(n) < 0.7,
            "host": [f"host {k}" for k in rng.integers(0, 200, n)],
            "level": pl.Series([("a", "b")[k] for k in rng.integers(0, 2, n)], dtype=pl.Enum(["a", "b"])),
            "at": [start + timedelta(microseconds=int(v)) for v in rng.integers(0, 10**12, n)],
            "day": [date(2026, 1, 1) + timedelta(days=int(v)) for v in rng.integers(0, 300, n)],
        },
        strict=False,
    )


def told(values: pl.Series) -> list:
    """Return what is expected to be shown of a column: durations are told in seconds, what is no number is missing."""
    if values.dtype == pl.Duration:
        return (values.dt.total_microseconds() / 1e6).to_list()
    return values.fill_nan(None).to_list() if values.dtype.is_float() else values.to_list()


def same(shown: list, given: list) -> None:
    """Numbers agree within a millionth of themselves, anything else to the letter."""
    for one, other in zip(shown, given, strict=True):
        if isinstance(other, float):
            assert one == pytest.approx(other, rel=1e-6, abs=0)
        else:
            assert one == other


@pytest.fixture(scope="module", params=get_args(Scaling))
def fitted(request) -> tuple[Detector, pl.DataFrame]:
    """A detector of each scaling, and what it was fitted on."""
    table = magnitudes()
    return PCA(n_components=3, scaling=request.param, random_state=0).fit(table), table


@pytest.fixture(scope="module")
def explained(fitted):
    detector, table = fitted
    return explain(detector, table[:40], n_neighbours=5, originals=find_originals(detector, table))


def test_the_values_of_a_row_are_those_of_the_table(fitted, explained):
    document = explained.to_dict()
    for name in fitted[1].columns:
        given = [v.isoformat() if isinstance(v, date) else v for v in told(fitted[1][name][:40])]
        same([row["values"][name] for row in document["rows"]], given)


def test_the_values_of_neighbours_are_those_of_their_rows(fitted, explained):
    _, table = fitted
    for row in range(len(explained)):
        numbers = explained.neighbour_rows[row].tolist()
        assert len(set(numbers)) == 5
        shown = explained.neighbours(row)
        for name in table.columns:
            same(shown[name].fill_nan(None).to_list() if shown[name].dtype.is_float() else shown[name].to_list(),
                 told(table[name][numbers]))  # fmt: skip


def test_ranges_are_the_percentiles_of_the_training_rows(fitted, explained):
    detector, table = fitted
    trained, _ = detector._split(np.full(table.height, -1))
    for reason in explained.reasons(0):
        if reason.column not in NUMBERS:
            assert reason.typical_range is None
            continue
        values = np.array(told(table[reason.column][trained]), dtype=np.float64)
        ends = np.nanquantile(values, [0.05, 0.95], method="closest_observation")
        assert reason.typical_range == pytest.approx(ends.tolist(), rel=1e-6, abs=0)


def test_what_similar_rows_have_is_between_values_of_the_table(fitted, explained):
    _, table = fitted
    for row in range(len(explained)):
        for reason in explained.reasons(row):
            if reason.alike_range is not None:
                values = np.array(told(table[reason.column]), dtype=np.float64)
                for end in reason.alike_range:
                    nearest = values[np.nanargmin(np.abs(values - end))]
                    assert end == pytest.approx(nearest, rel=1e-6, abs=0)


def test_decoding_gives_back_each_column_within_a_millionth_of_its_size(fitted):
    detector, table = fitted
    encoder = type(detector.encoder_)(detector.scaling, clip=None).fit(table)
    decoded = encoder.decode(encoder.transform(table))
    for name in NUMBERS:
        values, back = (np.array(told(one[name]), dtype=np.float64) for one in (table, decoded))
        assert (np.isnan(values) == np.isnan(back)).all()
        np.testing.assert_allclose(back, values, rtol=0, atol=1e-6 * np.nanmax(np.abs(values)))


def test_rows_are_found_among_those_that_trained(fitted):
    detector, table = fitted
    shifted = pl.concat([table.reverse(), table])
    found = find_originals(detector, shifted, np.arange(table.height, 2 * table.height))
    at_home = find_originals(detector, table)
    assert (found.rows - table.height).tolist() == at_home.rows.tolist()
    assert all(a < b for a, b in pairwise(at_home.rows.tolist()))
    assert find_originals(detector, table[:100]) is None
    assert find_originals(detector, table.drop("at")) is None


def test_without_the_table_neighbours_are_decoded(fitted):
    detector, table = fitted
    assert explain(detector, table[:1]).neighbour_rows is None


@pytest.mark.parametrize("level", [0.0, 1e9, 1e-6])
def test_what_is_observed_and_expected_of_a_series_is_in_its_own_units(level):
    rng = np.random.default_rng(0)
    unit = 1e-6 if level == 1e-6 else 1.0
    waves = level + unit * (np.sin(np.arange(600) / 5) + 0.01 * rng.normal(size=600))
    table = pl.DataFrame({"v": waves})
    detector = whitecrow.detector("sub-pca", window=20, score_type="reconstruction", random_state=0).fit(table)
    found = explain_step(detector, table, 300, 0.0)
    same(found.observed[:, 0].tolist(), waves[found.first : found.first + len(found.observed)].tolist())
    # A clean wave is rebuilt nearly as it is: what is expected lies by what was observed, in the same unit.
    assert np.nanmax(np.abs(found.expected[:, 0] - found.observed[:, 0])) < 0.1 * unit
    starts = [np.abs(waves[:, None] - near[:, 0]).min() for near in found.neighbours]
    assert max(starts) < 1e-6 * max(level, unit)

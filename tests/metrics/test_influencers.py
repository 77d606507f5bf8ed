"""Values that alerts have more often than other rows, against SciPy's own test of each table."""

import datetime

import numpy as np
import polars as pl
import pytest
from scipy import stats

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.metrics.influencers import influencers


def traffic(n=400):
    rng = np.random.default_rng(3)
    alerts = np.arange(n) < 20
    host = np.where(alerts & (rng.random(n) < 0.8), "bad", rng.choice(["a", "b", "c"], n))
    size = np.where(alerts & (rng.random(n) < 0.7), 900.0, rng.normal(100, 10, n))
    return pl.DataFrame({"host": host, "size": size, "flat": ["x"] * n}), alerts


def test_counts_lift_and_p_value_are_those_of_the_table():
    table, alerts = traffic()
    found = influencers(table, alerts, ~alerts)
    assert [(one.column, one.value.split()[0]) for one in found] == [("host", "bad"), ("size", "above")]
    host = found[0]
    a, b = (
        int((table["host"] == "bad").to_numpy()[alerts].sum()),
        int((table["host"] == "bad").to_numpy()[~alerts].sum()),
    )
    assert (host.alerts, host.n_alerts, host.others, host.n_others) == (a, 20, b, 380)
    assert host.lift == pytest.approx((a / 20) / ((a + b) / 400), rel=1e-12)
    # Every value that an alert has was looked at: bad and the other hosts, two tails of size, and the flat column.
    exact, n = [], 0
    for name in ("host", "flat"):
        for value in table[name].filter(pl.Series(alerts)).unique():
            rows = (table[name] == value).to_numpy()
            k, m = int(rows[alerts].sum()), int(rows[~alerts].sum())
            exact.append(stats.fisher_exact([[k, 20 - k], [m, 380 - m]], alternative="greater")[1])
    others = np.sort(table["size"].to_numpy()[~alerts])
    low, high = others[int(np.ceil(0.05 * 380)) - 1], others[int(np.ceil(0.95 * 380)) - 1]
    for rows in (table["size"].to_numpy() > high, table["size"].to_numpy() < low):
        k, m = int(rows[alerts].sum()), int(rows[~alerts].sum())
        exact.append(stats.fisher_exact([[k, 20 - k], [m, 380 - m]], alternative="greater")[1])
    n = len(exact)
    smallest = min(exact)
    assert host.p_value == pytest.approx(smallest * n, rel=1e-9)


def test_random_alerts_are_seldom_explained():
    rng = np.random.default_rng(0)
    said = 0
    for _ in range(200):
        table = pl.DataFrame({"a": rng.choice(list("wxyz"), 200), "b": rng.normal(size=200)})
        alerts = rng.random(200) < 0.1
        said += bool(influencers(table, alerts, ~alerts))
    # At most 5 % are expected; 3.5 standard deviations of a binomial count more are given.
    assert said <= 200 * 0.05 + 3.5 * np.sqrt(200 * 0.05 * 0.95)


def test_only_the_rows_that_are_named_count():
    table, alerts = traffic()
    others = ~alerts
    others[200:] = False
    assert {one.n_others for one in influencers(table, alerts, others)} == {180}


def test_missing_values_are_a_value_and_dates_are_left_out():
    n = 100
    alerts = np.arange(n) < 10
    table = pl.DataFrame(
        {
            "port": [None if a else 80 for a in alerts],
            "rate": [float("nan") if a else float(k) for k, a in enumerate(alerts)],
            "at": [datetime.datetime(2026, 1, 1, 0, k % 60) for k in range(n)],
        }
    )
    assert {(one.column, one.value) for one in influencers(table, alerts, ~alerts)} == {
        ("port", "(missing)"), ("rate", "(missing)")
    }  # fmt: skip


def test_without_alerts_or_rows_to_compare_with_nothing_is_said():
    table, alerts = traffic()
    assert influencers(table, np.zeros(400, bool), ~alerts) == ()
    assert influencers(table, np.ones(400, bool), np.zeros(400, bool)) == ()


def test_at_most_so_many_are_returned_and_the_order_does_not_depend_on_the_rows():
    table, alerts = traffic()
    order = np.random.default_rng(1).permutation(400)
    assert influencers(table[order], alerts[order], ~alerts[order]) == influencers(table, alerts, ~alerts)
    assert influencers(table, alerts, ~alerts, most=1) == influencers(table, alerts, ~alerts)[:1]


def test_what_cannot_be_is_refused():
    table, alerts = traffic()
    with pytest.raises(DataError, match="both"):
        influencers(table, alerts, alerts)
    with pytest.raises(DataError):
        influencers(table, alerts[:-1], ~alerts[:-1])
    with pytest.raises(ParameterError):
        influencers(table, alerts, ~alerts, most=0)

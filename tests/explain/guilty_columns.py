"""Anomalies whose guilty column is known, and detectors whose scores can be computed by hand.

Run as a program, it measures how often each detector's explanation names the guilty column first.
"""

import sys

import numpy as np
import polars as pl

from whitecrow.core import registry
from whitecrow.core.errors import ParameterError
from whitecrow.detectors import Detector
from whitecrow.explain import explain
from whitecrow.nn import Networks

GROUP = ("a1", "a2", "a3", "b1", "b2", "b3")
NUMBERS = (*GROUP, "u1", "u2")


class SquaredDistance(Detector):
    """Squared distance to the mean of the training rows: a sum over features."""

    def learn(self, X, y, seed):
        return Networks(mean=X.mean(0))

    def feature_scores(self, net, x):
        return (x - net.mean).square()

    def score_batch(self, net, x):
        return self.feature_scores(net, x).sum(-1)


class Distance(SquaredDistance):
    """The distance itself: no sum over features."""

    def score_batch(self, net, x):
        return super().score_batch(net, x).sqrt()


def fit(cls, training, y=None, **parameters):
    """Return a detector of this class, fitted quietly."""
    return cls(random_state=0, verbose=False, **parameters).fit(training, y)


def fit_to_normal_rows(name, n, **parameters):
    """Return a registered detector, fitted to normal rows, and to known anomalies among them where it needs some."""
    cls, training = registry.load(name), normal_rows(n, 1)
    if not cls.needs_labels:
        return fit(cls, training, regime="clean", **parameters)
    known, _ = anomalies("marginal", n // 10, 8)
    return fit(cls, pl.concat([training, known]), np.repeat([0, 1], [n, len(known)]), **parameters)


def normal_rows(n, seed):
    """Two groups of correlated columns, two columns on their own, a service that goes with the first."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    noise = lambda: 0.3 * rng.normal(size=n)  # noqa: E731
    return pl.DataFrame(
        {
            "a1": 100 * (a + noise()),
            "a2": a + noise(),
            "a3": -3 * (a + noise()),
            "b1": 5 + b + noise(),
            "b2": 1000 * (b + noise()),
            "b3": b + noise(),
            "u1": rng.exponential(10, n),
            "u2": rng.normal(size=n),
            "service": np.where(a + noise() > 0, "http", "dns"),
            "flag": rng.random(n) < 0.1,
        }
    )


def anomalies(kind, n, seed):
    """Return normal rows of which one column each was spoilt, and the names of these columns."""
    rng = np.random.default_rng(seed)
    rows = {name: column.to_numpy().copy() for name, column in zip(NUMBERS, normal_rows(n, seed), strict=False)}
    service = normal_rows(n, seed)["service"].to_list()
    names = {"marginal": NUMBERS, "correlation": GROUP, "category": ("service",)}[kind]
    guilty = rng.choice(names, n)
    training = normal_rows(2000, 1)
    for i, name in enumerate(guilty):
        if kind == "category":
            service[i] = "telnet"
            continue
        values = training[name].to_numpy()
        if kind == "marginal":
            rows[name][i] = values.mean() + values.std() * rng.uniform(6, 9)
        else:
            # On the other side of the column's own range, so that only its company gives it away.
            rank = rng.uniform(0.02, 0.08)
            rows[name][i] = np.quantile(values, rank if rows[name][i] > np.median(values) else 1 - rank)
    table = normal_rows(n, seed).with_columns(pl.Series(name, values) for name, values in rows.items())
    return table.with_columns(pl.Series("service", service)), guilty


def connections(n, seed):
    """Rows in the shape of KDD Cup 99: 41 columns, 34 of them numbers, mostly zero, and 7 of text."""
    rng = np.random.default_rng(seed)
    columns = {}
    for c in range(34):
        values = rng.lognormal(2, 1.5, n) if c % 3 else rng.random(n)
        columns[f"n{c}"] = np.where(rng.random(n) < (0.8 if c % 2 else 0.2), 0.0, values)
    for c, levels in enumerate((3, 50, 11, 2, 2, 2, 15)):
        columns[f"c{c}"] = np.char.add("level", np.minimum(rng.geometric(0.3, n), levels).astype(str))
    return pl.DataFrame(columns)


def naming_rate(detector, table, guilty, method):
    """Return how often the guilty column ranks first: among all rows, and among those flagged."""
    explanation = explain(detector, table, method=method)
    named = np.array(explanation.columns)[explanation.contributions.argmax(axis=1)] == guilty
    flags = explanation.flags
    return explanation.method, named.mean(), named[flags].mean() if flags.any() else np.nan, flags.mean()


def report(n=400):
    """Write a Markdown table of the naming rates of all registered detectors."""
    write = sys.stdout.write
    write("| detector | method | marginal | correlation | category |\n|---|---|---|---|---|\n")
    for name in registry.names("table"):
        detector = fit_to_normal_rows(name, 3000)
        for method in ("parts", "occlusion"):
            cells = []
            for kind in ("marginal", "correlation", "category"):
                try:
                    used, all_rows, flagged, share = naming_rate(detector, *anomalies(kind, n, 7), method)
                except ParameterError:
                    break
                cells.append(f"{all_rows:.2f} ({flagged:.2f} of {100 * share:.0f} %)")
            else:
                write(f"| {name} | {used} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    report()

"""Measure how often ``whitecrow select`` sees evidence of anomalies: in clean data, in normal rows, in real tables.

Clean data are drawn from distributions without anomalies, the false alarms of the test. On each ADBench set the test is
given normal rows alone, and all rows, at most 2,000 at random.
"""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from adbench import SETS
from cells import complete, rounded

import whitecrow as wc
from whitecrow.data import TableEncoder
from whitecrow.metrics.intervals import wilson_interval
from whitecrow.study.selection.evidence import LEVEL, cross_fitted_scores, tail_evidence

KEY = ("data", "rows", "columns", "part")
FIGURES = ("found", "tables", "apart")
TABLES, SHAPES = 100, ((500, 5), (2000, 5), (2000, 30))
ROWS, SEEDS = 2000, 10

Rng = np.random.Generator
Draw = Callable[[Rng, int, int], np.ndarray]


def _mixture(rng: Rng, n: int, d: int) -> np.ndarray:
    spread, places = np.array([1.0, 0.5, 1.5]), 6 * rng.standard_normal((3, d))
    component = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    return places[component] + spread[component, None] * rng.standard_normal((n, d))


def _planted(share: float, scale: float, shift: float) -> Draw:
    def draw(rng: Rng, n: int, d: int) -> np.ndarray:
        X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d))
        k = round(share * n)
        X[:k] = scale * rng.standard_normal((k, d)) @ rng.standard_normal((d, d)) + shift * X.std(0)
        return X

    return draw


CLEAN: dict[str, Draw] = {
    "Gaussian": lambda rng, n, d: rng.standard_normal((n, d)),
    "Gaussian, correlated": lambda rng, n, d: rng.standard_normal((n, d)) @ rng.standard_normal((d, d)),
    "uniform": lambda rng, n, d: rng.random((n, d)),
    "mixture of 3 Gaussians of unequal spread (50, 30, 20 %)": _mixture,
    "integers (rounded Gaussian)": lambda rng, n, d: np.round(2 * rng.standard_normal((n, d))),
    "exponential columns": lambda rng, n, d: rng.exponential(size=(n, d)),
    "log-normal columns": lambda rng, n, d: np.exp(rng.standard_normal((n, d))),
    "Student t, 5 degrees, independent columns": lambda rng, n, d: rng.standard_t(5, (n, d)),
    "Student t, 3 degrees, independent columns": lambda rng, n, d: rng.standard_t(3, (n, d)),
    "Cauchy, independent columns": lambda rng, n, d: rng.standard_cauchy((n, d)),
    "multivariate Student t, 3 degrees": lambda rng, n, d: (
        rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(3, (n, 1)) / 3)
    ),
    "one log-normal column of spread 2 among Gaussian ones": lambda rng, n, d: np.column_stack(
        [np.exp(2 * rng.standard_normal(n)), rng.standard_normal((n, d - 1))]
    ),
}
PLANTED: dict[str, Draw] = {
    "1 % of rows with other correlations, 3 times as wide": _planted(0.01, 3, 0),
    "5 % of rows with other correlations, 3 times as wide": _planted(0.05, 3, 0),
    "5 % of rows with other correlations, as wide": _planted(0.05, 1, 0),
    "2 % of rows in a cluster 6 standard deviations off, as wide": _planted(0.02, 1, 6),
    "2 % of rows in a cluster 6 standard deviations off, a tenth as wide": _planted(0.02, 0.1, 6),
}


def _test(X: np.ndarray, seed: int) -> tuple[bool, int]:
    encoded = TableEncoder(clip=None).fit(X).transform(X)
    evidence = tail_evidence(cross_fitted_scores(encoded, seed))
    return evidence.found, evidence.n_apart


def run(name: str, rows: str, columns: str, part: str) -> dict[str, str]:
    """Return in how many tables there is evidence, of how many, and the median number of rows apart in these."""
    warnings.simplefilter("ignore")
    found = []
    if part in ("clean", "planted"):
        draw = (CLEAN | PLANTED)[name]
        for seed in range(TABLES):
            rng = np.random.default_rng([seed, int(rows), int(columns)])
            found.append(_test(draw(rng, int(rows), int(columns)), seed))
    else:
        data = wc.load_dataset(name)
        X = np.asarray(data.X if isinstance(data.X, np.ndarray) else data.X.to_numpy(), dtype=np.float64)
        pool = np.flatnonzero(np.asarray(data.y) == 0) if part == "normal" else np.arange(len(X))
        for seed in range(SEEDS):
            chosen = np.random.default_rng(seed).permutation(pool)[:ROWS]
            found.append(_test(X[chosen], seed))
    apart = [n for yes, n in found if yes]
    median = float(np.median(apart)) if apart else 0.0
    return {"found": str(len(apart)), "tables": str(len(found)), "apart": rounded(median)}


def page(results: dict[tuple[str, ...], dict[str, str]]) -> str:
    """Return the page in Markdown."""

    def share(cell: tuple[str, ...]) -> str:
        if cell not in results:
            return ""
        found, tables = int(results[cell]["found"]), int(results[cell]["tables"])
        interval = wilson_interval(found / tables, tables)
        return f"{100 * found / tables:.0f} ({100 * interval.low:.0f}–{100 * interval.high:.0f})"

    lines = [
        "# Evidence of anomalies, measured",
        "",
        "`make reproduce`; the cells are in [evidence.csv](evidence.csv). In how many percent of the tables "
        f"[`whitecrow select`](../selection.md) sees evidence of anomalies (p at most {LEVEL:g}), with 95 % intervals.",
    ]
    shapes = [(str(n), str(d)) for n, d in SHAPES]
    heads = " | ".join(f"{int(n):,} rows, {d} columns" for n, d in shapes)
    for title, draws, part in (
        (f"False alarms: {TABLES} tables without anomalies of each kind", CLEAN, "clean"),
        (f"Power: {TABLES} tables of correlated Gaussian rows and planted anomalies", PLANTED, "planted"),
    ):
        lines += ["", f"## {title}", "", f"| data | {heads} |", "|---" * (len(shapes) + 1) + "|"]
        lines += [f"| {name} | {' | '.join(share((name, n, d, part)) for n, d in shapes)} |" for name in draws]
    lines += [
        "",
        f"## ADBench sets: {SEEDS} samples of at most {ROWS:,} rows each",
        "",
        "*Normal rows*: alarms on rows that are all labelled normal. *All rows*: alarms on the set as it is. *Apart*: "
        "median number of rows beyond the gap, where one is found. Samples of one set share rows.",
        "",
        "| set | normal rows | all rows | apart |",
        "|---|---|---|---|",
    ]
    alarms = {"normal": 0.0, "all": 0.0}
    n_sets = 0
    for name in SETS:
        cells = {part: (name, "", "", part) for part in alarms}
        if any(cell not in results for cell in cells.values()):
            continue
        n_sets += 1
        shares = {part: int(results[c]["found"]) / int(results[c]["tables"]) for part, c in cells.items()}
        alarms = {part: alarms[part] + shares[part] for part in alarms}
        lines.append(
            f"| {name} | {100 * shares['normal']:.0f} | {100 * shares['all']:.0f} | {results[cells['all']]['apart']} |"
        )
    if n_sets:
        lines.append(f"| mean | {100 * alarms['normal'] / n_sets:.0f} | {100 * alarms['all'] / n_sets:.0f} | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/evidence.md"))
    options = parser.parse_args()
    cells = [
        (name, str(n), str(d), part)
        for draws, part in ((CLEAN, "clean"), (PLANTED, "planted")) for name in draws for n, d in SHAPES
    ]  # fmt: skip
    cells += [(name, "", "", part) for name in SETS for part in ("normal", "all")]
    options.out.write_text(page(complete(options.out.with_suffix(".csv"), KEY, FIGURES, cells, run, 1)))


if __name__ == "__main__":
    main()

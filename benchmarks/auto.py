"""Compare ``auto`` with single detectors, and with the published tables, on the ADBench sets at hand.

Three splits for each set and seed, training capped at 10,000 rows. *published*: the first half of the normal rows, in
file order, trains (Livernoche et al., ICLR 2024; ``adbench-one-class``). *random*: half of the normal rows, drawn at
random, train. *unsupervised*: a bootstrap sample of all rows trains, anomalies included, and all rows test
(``adbench-unsupervised``). ``auto`` and its members work in the regime of the split: clean in the first two,
contaminated in the third. No label is used but to measure.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from adbench import SEEDS, SETS, load, published
from cells import Cell, complete, rounded

import whitecrow as wc
from whitecrow.calibrate import benjamini_hochberg
from whitecrow.metrics import auroc, average_precision
from whitecrow.study import protocol

DETECTORS = {
    "auto": ("auto", {}),
    "auto, fast": ("auto", {"budget": "fast"}),
    "knn": ("knn", {}),
    "lof": ("lof", {}),
    "gaussian-mixture": ("gaussian-mixture", {}),
    "robust-covariance": ("robust-covariance", {}),
    "sample-neighbours": ("sample-neighbours", {}),
    "isolation-forest": ("isolation-forest", {}),
    "pca": ("pca", {}),
    "one-class-svm": ("one-class-svm", {}),
}
SINGLE = tuple(name for name in DETECTORS if not name.startswith("auto"))
SPLITS = ("published", "random", "unsupervised")
LEVELS = (0.01, 0.05, 0.1)
KEY = ("detector", "set", "split", "seed")
FIGURES = ("auroc", "ap", "p01", "p05", "p10", "false_discoveries", "fit_s", "score_s")
_CAP = 10_000


def split(y: np.ndarray, how: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that train and the rows that test."""
    if how != "random":
        name = "adbench-one-class" if how == "published" else "adbench-unsupervised"
        rows = protocol(name, cap=_CAP).split(y, seed=seed)
        return rows.train, rows.test
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(y))[:50_000]
    normal, anomalous = rows[y[rows] == 0], rows[y[rows] == 1]
    half = len(normal) // 2
    return normal[:half][:_CAP], np.concatenate([normal[half:], anomalous])


def run(detector: str, name: str, how: str, seed: str) -> dict[str, Any]:
    """Return the figures of one fit."""
    warnings.simplefilter("ignore")
    X, y = load(name)
    train, test = split(y, how, int(seed))
    registered, parameters = DETECTORS[detector]
    regime = "contaminated" if how == "unsupervised" else "clean"
    model = wc.detector(registered, regime=regime, random_state=int(seed), verbose=False, **parameters)
    start = time.process_time()
    model.fit(X[train])
    fitted = time.process_time()
    scores = model.anomaly_score(X[test])
    scored = time.process_time()
    p, labels = model.p_value(X[test]), y[test]
    shares = [float((p[labels == 0] <= level).mean()) for level in LEVELS]
    found = benjamini_hochberg(p, 0.1)
    false = float((labels[found] == 0).mean()) if found.any() else 0.0
    figures = (auroc(labels, scores), average_precision(labels, scores), *shares, false)
    return dict(zip(FIGURES, map(rounded, (*figures, fitted - start, scored - fitted)), strict=True))


class Table:
    """The cells of a run, and means of them."""

    def __init__(self, results: dict[Cell, dict[str, str]]) -> None:
        self.results = results

    def mean(self, detector: str, name: str, how: str, figure: str = "auroc") -> float:
        """Return the mean over the seeds; nan where nothing was run."""
        values = [float(self.results[c][figure]) for s in SEEDS if (c := (detector, name, how, s)) in self.results]
        return statistics.mean(values) if values else float("nan")

    def overall(self, detector: str, how: str, figure: str = "auroc") -> float:
        """Return the mean over the sets; nan unless all were run."""
        return statistics.mean(self.mean(detector, name, how, figure) for name in SETS)


def page(table: Table, detectors: Sequence[str], tables: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the page in Markdown."""
    lines = [
        "# `auto` beside single detectors and the published tables",
        "",
        "`python benchmarks/auto.py` with the published files; the cells are in [cells.csv](cells.csv). "
        "Mean over 23 ADBench sets and three seeds, in percent, defaults throughout, training capped at 10,000 rows. "
        "*Published* and *unsupervised* follow the protocols of the published tables (Livernoche et al., ICLR 2024); "
        "*random* splits the normal rows at random and is compared with nothing published.",
        "",
        "| detector | published AUROC | AP | random AUROC | AP | unsupervised AUROC | AP | fit, CPU s | rows/CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for detector in detectors:
        cells = [f"{100 * table.overall(detector, how, f):.1f}" for how in SPLITS for f in ("auroc", "ap")]
        fit = statistics.median(table.mean(detector, name, "random", "fit_s") for name in SETS)
        rates = [len(split(load(n)[1], "random", 0)[1]) / table.mean(detector, n, "random", "score_s") for n in SETS]
        lines.append(f"| `{detector}` | {' | '.join(cells)} | {fit:.1f} | {statistics.median(rates):,.0f} |")
    for how, file in (("published", "one_class"), ("unsupervised", "unsupervised")):
        for figure in ("auroc", "auprc"):
            if known := tables.get(f"{file}_{figure}"):
                columns = {c for name in SETS for c in known[name]}
                best = max(columns, key=lambda c: statistics.mean(known[n].get(c, 0.0) for n in SETS))
                value = statistics.mean(known[n][best] for n in SETS)
                lines += ["", f"Best published column, {how}, {figure.upper()}: {best} {value:.1f}."]
    if single := [name for name in SINGLE if name in detectors]:
        lines += ["", "## Regret", "", "Best single default detector of the set minus `auto`, in points of AUROC.", ""]
        lines += ["| split | median | worst | set of the worst |", "|---|---|---|---|"]
    for how in SPLITS if single else ():
        regret = {n: 100 * (max(table.mean(d, n, how) for d in single) - table.mean("auto", n, how)) for n in SETS}
        worst = max(regret, key=lambda n: regret[n])
        lines.append(f"| {how} | {statistics.median(regret.values()):.2f} | {regret[worst]:.1f} | {worst} |")
    lines += ["", "## p-values", "", "Random split. Share of the normal test rows with p at most the level; worst set."]
    lines += ["", "| level | mean | worst | set |", "|---|---|---|---|"]
    for level, figure in zip(LEVELS, ("p01", "p05", "p10"), strict=True):
        shares = {n: table.mean("auto", n, "random", figure) for n in SETS}
        worst = max(shares, key=lambda n: shares[n])
        lines.append(f"| {level:g} | {statistics.mean(shares.values()):.3f} | {shares[worst]:.3f} | {worst} |")
    false = table.overall("auto", "random", "false_discoveries")
    lines += ["", f"False discoveries under Benjamini-Hochberg at 0.1: {false:.3f} on average."]
    for how in SPLITS:
        lines += ["", f"## AUROC, {how}", "", "| set | " + " | ".join(f"`{d}`" for d in detectors) + " |"]
        lines.append("|---" * (len(detectors) + 1) + "|")
        for name in SETS:
            lines.append(f"| {name} | " + " | ".join(f"{100 * table.mean(d, name, how):.1f}" for d in detectors) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/auto"))
    parser.add_argument(
        "--published", type=Path, help="folder with adbench57_{one_class,unsupervised}_{auroc,auprc}.csv"
    )
    parser.add_argument("--detectors", nargs="*", default=list(DETECTORS), choices=list(DETECTORS))
    parser.add_argument("--splits", nargs="*", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cells = [
        (detector, name, how, seed)
        for seed in SEEDS for detector in options.detectors for how in options.splits for name in options.sets
    ]  # fmt: skip
    results = complete(options.out / "cells.csv", KEY, FIGURES, cells, run, options.jobs)
    known = {
        f"{file}_{figure}": published(options.published / f"adbench57_{file}_{figure}.csv")
        for file in ("one_class", "unsupervised") for figure in ("auroc", "auprc") if options.published
    }  # fmt: skip
    present = [name for name in DETECTORS if any(cell[0] == name for cell in results)]
    (options.out / "README.md").write_text(page(Table(results), present, known))


if __name__ == "__main__":
    main()

"""Compare detectors with the published one-class table of 57 ADBench sets, on those at hand: ``make reproduce``.

The published protocol (Livernoche et al., ICLR 2024), for each set and seed: a set of fewer than 1,000 rows is drawn to
1,000 with replacement, one of more than 50,000 to 50,000 without; then the first half of the normal rows, in the order
that stands, trains, and the others and all anomalies test. Beside it the same with the normal rows split at random and
no row drawn twice, which no copy and no order can flatter. Training is capped at 10,000 rows.
"""

import argparse
import csv
import statistics
import time
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell, complete, rounded

import whitecrow as wc
from whitecrow.metrics import auroc, average_precision, f1_at_known_ratio
from whitecrow.study import protocol

COLUMNS = {
    "isolation-forest": "IForest", "knn": "kNN", "lof": "LOF", "one-class-svm": "OCSVM", "pca": "PCA",
    "dagmm": "DAGMM", "deep-svdd": "DeepSVDD", "drocc": "DROCC", "goad": "GOAD", "icl": "ICL", "vae": "VAE",
    "dte-np": "DTE-NP", "dte-c": "DTE-C",
}  # fmt: skip
SETS = (
    "annthyroid", "breastw", "campaign", "cardio", "cover", "donors", "glass", "http", "letter", "magic.gamma",
    "mammography", "mnist", "musk", "optdigits", "pendigits", "pima", "satellite", "satimage-2", "shuttle", "smtp",
    "thyroid", "vowels", "wbc",
)  # fmt: skip
SEEDS = ("0", "1", "2")
SPLITS = ("published", "random")
KEY = ("detector", "set", "split", "seed")
FIGURES = ("auroc", "ap", "f1", "fit_s", "score_s")
_CAP = 10_000


@lru_cache(maxsize=2)
def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and the labels of a set."""
    data = wc.load_dataset(name)
    X = data.X if isinstance(data.X, np.ndarray) else data.X.to_numpy()
    return np.asarray(X, dtype=np.float64), np.asarray(data.y)


def split(y: np.ndarray, how: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that train and the rows that test."""
    if how == "published":
        rows = protocol("adbench-one-class", cap=_CAP).split(y, seed=seed)
        return rows.train, rows.test
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(y))[:50_000] if len(y) > 50_000 else np.arange(len(y))
    normal, anomalous = rng.permutation(rows[y[rows] == 0]), rows[y[rows] == 1]
    half = len(normal) // 2
    train, test = normal[:half], np.concatenate([normal[half:], anomalous])
    if len(train) > _CAP:
        train = np.sort(rng.permutation(train)[:_CAP])
    return train, test


def run(detector: str, name: str, how: str, seed: str) -> dict[str, Any]:
    """Return the figures of one fit."""
    warnings.simplefilter("ignore")
    X, y = load(name)
    train, test = split(y, how, int(seed))
    model = wc.detector(detector, regime="clean", random_state=int(seed), verbose=False)
    start = time.process_time()
    model.fit(X[train])
    fitted = time.process_time()
    scores = model.anomaly_score(X[test])
    scored = time.process_time()
    figures = (auroc(y[test], scores), average_precision(y[test], scores), f1_at_known_ratio(y[test], scores)[2])
    times = (fitted - start, scored - fitted)
    return dict(zip(FIGURES, map(rounded, (*figures, *times)), strict=True))


def published(path: Path) -> dict[str, dict[str, float]]:
    """Return the published figures in percent, by set and method."""
    with path.open(newline="") as file:
        return {
            row["dataset"].lower(): {k: float(v) for k, v in row.items() if k != "dataset" and v}
            for row in csv.DictReader(file)
        }


def page(results: dict[Cell, dict[str, str]], table: dict[str, dict[str, float]], detectors: Sequence[str]) -> str:
    """Return the page in Markdown."""

    def mean(detector: str, name: str, how: str, figure: str = "auroc") -> float:
        values = [float(results[c][figure]) for s in SEEDS if (c := (detector, name, how, s)) in results]
        return 100 * statistics.mean(values) if values else float("nan")

    lines = [
        "# Beside the published one-class table of ADBench",
        "",
        "`make reproduce`; the cells are in [adbench.csv](adbench.csv). AUROC in percent, mean over three seeds, on "
        f"{len(SETS)} of the 57 sets, defaults throughout. *Published*: mean over five seeds from Livernoche et al., "
        '"On Diffusion Modeling for Anomaly Detection", ICLR 2024. *Ours* follows its protocol: sets below 1,000 '
        "rows are drawn to 1,000 with replacement before the split (copies of a row stand on both sides), sets above "
        "50,000 to 50,000, and the first half of the normal rows in file order trains. Training is capped at 10,000 "
        "rows, which theirs is not. *Random*: the same without drawing with replacement and with the normal rows "
        "split at random; it is never to be compared with published figures. The defaults of both sides differ, and "
        "the first half of a sorted file can differ in kind from the second.",
        "",
        "| detector | published | ours | bias | mean absolute gap | largest gaps | random | random AP |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for detector in detectors:
        column = COLUMNS[detector]
        pairs = {n: (mean(detector, n, "published"), table[n][column]) for n in SETS if n in table}
        pairs = {n: pair for n, pair in pairs.items() if np.isfinite(pair).all()}
        if not pairs:
            continue
        gaps = {n: ours - theirs for n, (ours, theirs) in pairs.items()}
        worst = sorted(gaps, key=lambda n: -abs(gaps[n]))[:3]
        random = [[m for n in SETS if np.isfinite(m := mean(detector, n, "random", f))] for f in ("auroc", "ap")]
        shown = [f"{statistics.mean(values):.1f}" if values else "not run" for values in random]
        lines.append(
            f"| `{detector}` | {statistics.mean(t for _, t in pairs.values()):.1f} "
            f"| {statistics.mean(o for o, _ in pairs.values()):.1f} | {statistics.mean(gaps.values()):+.1f} "
            f"| {statistics.mean(map(abs, gaps.values())):.1f} "
            f"| {', '.join(f'{n} {gaps[n]:+.0f}' for n in worst)} | {' | '.join(shown)} |"
        )
    for how, title in (("published", "Published protocol, ours (published)"), ("random", "Random split")):
        if not any(split == how for _, _, split, _ in results):
            continue
        lines += ["", f"## {title}", "", "| set | " + " | ".join(f"`{d}`" for d in detectors) + " |"]
        lines.append("|---" * (len(detectors) + 1) + "|")
        for name in SETS:
            cells = []
            for detector in detectors:
                cell = f"{mean(detector, name, how):.1f}"  # nan where it has not been run
                if how == "published" and name in table:
                    cell += f" ({table[name][COLUMNS[detector]]:.1f})"
                cells.append(cell)
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/adbench.md"))
    parser.add_argument("--published", type=Path, help="CSV with a row per set and a column per published method")
    parser.add_argument("--detectors", nargs="*", default=list(COLUMNS), choices=list(COLUMNS))
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--splits", nargs="*", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cells = [
        (detector, name, how, seed)
        for how in options.splits for name in options.sets for detector in options.detectors for seed in SEEDS
    ]  # fmt: skip
    results = complete(options.out.with_suffix(".csv"), KEY, FIGURES, cells, run, options.jobs)
    present = [d for d in COLUMNS if any(cell[0] == d for cell in results)]
    options.out.write_text(page(results, published(options.published) if options.published else {}, present))


if __name__ == "__main__":
    main()

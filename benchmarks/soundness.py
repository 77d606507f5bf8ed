"""Fit every detector with twenty seeds on small tables, and count what must never be: ``make reproduce``.

Each fit of a detector that is trained by gradients runs its twenty seeds as replicas, which are solo fits. Half of the
normal rows train, the other half and all anomalies test; a detector that learns from labels is given some anomalies.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell, complete, rounded

import whitecrow as wc
from whitecrow.core import registry
from whitecrow.data.contamination import house_split
from whitecrow.metrics import auroc

SETS = ("glass", "wbc", "pima", "vowels", "breastw")
N_SEEDS = 20
KEY = ("detector", "set")
FIGURES = ("seeds", "not_finite", "least_distinct", "auroc_mean", "auroc_std", "cpu_s")


def run(detector: str, name: str) -> dict[str, Any]:
    """Return the figures over all seeds."""
    warnings.simplefilter("ignore")
    data = wc.load_dataset(name)
    rows = house_split(data.y, 0, holdout=0.0)
    train, test = rows.train, rows.test
    cls = registry.load(detector)
    labels, regime = None, "clean"
    if cls.uses_labels:
        anomalies = test[data.y[test] == 1]
        known = anomalies[: min(20, len(anomalies) // 2)]
        train, test = np.concatenate([train, known]), np.setdiff1d(test, known)
        labels, regime = np.where(np.isin(train, known), 1, -1), "labelled"
    common = {"regime": regime, "verbose": False}
    start = time.process_time()
    if issubclass(cls, wc.DeepDetector):
        fits = [wc.detector(detector, random_state=0, n_replicas=N_SEEDS, **common)]
    else:
        fits = [wc.detector(detector, random_state=seed, **common) for seed in range(N_SEEDS)]
    scores = np.concatenate([scores_of(model.fit(data.X[train], labels), data.X[test]) for model in fits])
    distinct_rows = len(np.unique(np.asarray(data.X[test], dtype=np.float64), axis=0))
    areas = [auroc(data.y[test], s) for s in scores]
    figures = (
        len(scores),
        int((~np.isfinite(scores)).sum()),
        rounded(min(len(np.unique(s)) for s in scores) / distinct_rows),
        rounded(float(np.mean(areas))),
        rounded(float(np.std(areas))),
        rounded(time.process_time() - start),
    )
    return dict(zip(FIGURES, figures, strict=True))


def scores_of(model: Any, X: Any) -> np.ndarray:
    """Return the scores ``[R, N]`` of each replica."""
    return model._score(model._encode(X))


def page(results: dict[Cell, dict[str, str]]) -> str:
    """Return the page in Markdown."""
    lines = [
        "# Soundness",
        "",
        f"`make reproduce`; the cells are in [soundness.csv](soundness.csv). Every detector with {N_SEEDS} seeds on "
        f"{', '.join(SETS)}: {len(results)} cells, "
        f"{sum(int(r['not_finite']) for r in results.values())} scores that are not finite. *Distinct* is the least "
        "number of distinct scores, over seeds and sets, as a share of the distinct rows. AUROC in percent, mean ± "
        "standard deviation over the seeds.",
        "",
        f"| detector | not finite | distinct | {' | '.join(SETS)} | CPU s |",
        "|---" * (len(SETS) + 4) + "|",
    ]
    for detector in sorted({d for d, _ in results}):
        cells = {name: results[detector, name] for name in SETS if (detector, name) in results}
        areas = [
            f"{100 * float(c['auroc_mean']):.1f} ± {100 * float(c['auroc_std']):.1f}" if (c := cells.get(name)) else ""
            for name in SETS
        ]
        lines.append(
            f"| `{detector}` | {sum(int(c['not_finite']) for c in cells.values())} "
            f"| {100 * min(float(c['least_distinct']) for c in cells.values()):.0f} % | {' | '.join(areas)} "
            f"| {sum(float(c['cpu_s']) for c in cells.values()):.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/soundness.md"))
    parser.add_argument("--detectors", nargs="*", default=wc.detectors("table"))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cells = [(detector, name) for detector in options.detectors for name in SETS]
    options.out.write_text(page(complete(options.out.with_suffix(".csv"), KEY, FIGURES, cells, run, options.jobs)))


if __name__ == "__main__":
    main()

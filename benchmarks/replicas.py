"""Measure what it gives and costs to train ten seeds as replicas of one run, against ten fits, on Thyroid.

The cells are those of the robustness study's protocol: on the few normal rows of that study, and on nearly all.
The two ways take turns, and the ratio of their wall times is the median of the rounds'.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from whitecrow.core import registry
from whitecrow.detectors import Detector, can_fit_together, fit_together
from whitecrow.study import load_study, protocol
from whitecrow.study.plan import DataChoice
from whitecrow.study.sources import Rows, load_rows

STUDY = Path(__file__).parents[1] / "studies" / "robustness.toml"
SPLITS = {
    "all": ("robustness", {"holdout": 0.5, "train_share": 0.99}),
    "few": ("robustness", {"holdout": 0.5, "train_share": 0.0375}),
}


def compare(name: str, rows: Rows, how: str, seeds: int, rounds: int) -> tuple[float, float, float] | None:
    """Return the largest difference of a score, as a share of the range of its seed's, and the median seconds.

    Both are of all seeds; None if the method does not train as replicas.
    """
    kind, options = SPLITS[how]
    splits = [rows.split(protocol(kind, **options), seed=seed, contamination=0.0) for seed in range(seeds)]
    tables = [rows.X[split.train] for split in splits]

    def made() -> list[Detector]:
        return [registry.load(name)(random_state=seed, verbose=False) for seed in range(seeds)]

    if not can_fit_together(made()):
        return None

    def one_by_one(detectors: list[Detector]) -> None:
        for detector, table in zip(detectors, tables, strict=True):
            detector.fit(table)

    def at_once(detectors: list[Detector]) -> None:
        if errors := [error for error in fit_together(detectors, tables) if error is not None]:
            raise errors[0]

    def timed(fit: Callable[[list[Detector]], None]) -> tuple[list[Detector], float]:
        detectors = made()
        began = time.perf_counter()
        fit(detectors)
        return detectors, time.perf_counter() - began

    spent = []
    worst = 0.0
    for _ in range(rounds):
        (alone, alone_s), (together, together_s) = timed(one_by_one), timed(at_once)
        spent.append((alone_s, together_s))
        for one, other, split in zip(alone, together, splits, strict=True):
            scores = [detector.anomaly_score(rows.X[split.test]) for detector in (one, other)]
            worst = max(worst, float(np.abs(scores[0] - scores[1]).max() / np.ptp(scores[0])))
    alone_s, together_s = (statistics.median(column) for column in zip(*spent, strict=True))
    return worst, alone_s, together_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", nargs="*", help="default: those of the robustness study")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = load_rows(DataChoice(name="thyroid"))
    sys.stdout.write("| detector | normal rows | largest difference / range | fits | as replicas | ratio |\n")
    sys.stdout.write("|---|---|--:|--:|--:|--:|\n")
    for name in given.detectors or [choice.name for choice in load_study(STUDY).detectors]:
        for how in SPLITS:
            found = compare(name, rows, how, given.seeds, given.rounds)
            if found is not None:
                worst, alone, together = found
                line = f"{worst:.1e} | {alone:.1f} s | {together:.1f} s | {together / alone:.2f}"
                sys.stdout.write(f"| `{name}` | {how} | {line} |\n")


if __name__ == "__main__":
    main()

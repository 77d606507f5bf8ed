"""Score the TSB-AD series of the data folder with detectors of series: ``python benchmarks/series.py``.

As in the benchmark, the training part of a series is taken for clean, the whole series is scored, and the buffer of
VUS is the period of the first channel. Its own figures fit unsupervised methods on the whole series instead.
"""

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell, complete, rounded

import whitecrow as wc
from whitecrow.core import parameters, registry
from whitecrow.data.series import period
from whitecrow.data.series.catalogue import SERIES
from whitecrow.data.series.files import read_tsb_ad
from whitecrow.metrics import average_precision
from whitecrow.metrics.series import vus

ROOT = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILES = {facts.name.partition("/")[2]: facts.files[0] for facts in SERIES if facts.reader == "tsb-ad"}
# The best of the figures that the benchmark released for each.
RELEASED = {"001_NAB_id_1": 0.574, "346_UCR_id_44": 0.270, "169_SMAP_id_26": 0.244}
KEY = ("detector", "settings", "series", "seed")
FIGURES = ("window", "buffer", "vus_pr", "vus_roc", "ap", "fit_s", "score_s")


def run(detector: str, settings: str, name: str, seed: str) -> dict[str, Any]:
    """Return the figures of one fit; ``settings`` are written as ``name=value``, with blanks between them."""
    warnings.simplefilter("ignore")
    data = read_tsb_ad([ROOT / FILES[name]])
    fields, given = parameters.fields(registry.load(detector)), dict(part.split("=") for part in settings.split())
    chosen = {key: parameters.parse(detector, key, text, fields[key].annotation) for key, text in given.items()}
    model = wc.detector(detector, **{"regime": "clean", "random_state": int(seed), "verbose": False, **chosen})
    start = time.perf_counter()
    model.fit(data.X[: data.train_end])
    fitted = time.perf_counter()
    scores = model.anomaly_score(data.X)
    scored = time.perf_counter()
    buffer = period(data.X)
    area = vus(data.y, scores, buffer)
    return {
        "window": model.encoder_.window_,
        "buffer": buffer,
        "vus_pr": rounded(area.pr),
        "vus_roc": rounded(area.roc),
        "ap": rounded(average_precision(data.y, scores)),
        "fit_s": rounded(fitted - start),
        "score_s": rounded(scored - fitted),
    }


def page(results: dict[Cell, dict[str, str]]) -> str:
    """Return the page in Markdown."""
    names = [name for name in RELEASED if any(cell[2] == name for cell in results)]
    buffers = {cell[2]: result["buffer"] for cell, result in results.items()}
    lines = [
        "# Series",
        "",
        "`python benchmarks/series.py`; the cells are in [series.csv](series.csv). Series of TSB-AD: a detector is "
        "fitted on the training part as clean and scores the whole series, the training part included. VUS-PR, the "
        "mean over the seeds, with buffers up to the period of the first channel ("
        + ", ".join(f"{name}: {buffers[name]}" for name in names)
        + "). Seconds are those of fit and scoring over all series, on one thread.",
        "",
        f"| detector | settings | seeds | {' | '.join(names)} | s |",
        "|---" * (len(names) + 4) + "|",
    ]
    for detector, settings in sorted({cell[:2] for cell in results}):
        own = {cell[2:]: result for cell, result in results.items() if cell[:2] == (detector, settings)}
        areas = [[float(r["vus_pr"]) for (series, _), r in own.items() if series == name] for name in names]
        seconds = sum(float(r["fit_s"]) + float(r["score_s"]) for r in own.values())
        shown = " | ".join(f"{np.mean(area):.3f}" if area else "" for area in areas)
        seeds = max(map(len, areas))
        lines.append(f"| `{detector}` | {f'`{settings}`' * bool(settings)} | {seeds} | {shown} | {seconds:.0f} |")
    best = " | ".join(f"{RELEASED[name]:.3f}" for name in names)
    lines.append(f"| best released figure | | | {best} | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/series.md"))
    parser.add_argument("--detectors", nargs="*", default=wc.detectors("sequence"))
    parser.add_argument("--settings", default="", help="as in: train=triplet epochs=5")
    parser.add_argument("--series", nargs="*", choices=list(FILES), default=list(FILES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cells = [
        (detector, options.settings, name, str(seed))
        for detector in options.detectors
        for name in options.series
        for seed in range(options.seeds)
    ]
    options.out.write_text(page(complete(options.out.with_suffix(".csv"), KEY, FIGURES, cells, run, options.jobs)))


if __name__ == "__main__":
    main()

"""Choose the members of ``auto`` on some tables and judge the choice on others: leave one data set out.

Every committee of up to four of the candidates is scored on each ADBench set at hand, in the two settings of
``benchmarks/auto.py`` that its two rules are for. For each set the committee with the best mean on all other sets is
taken, and its figure on that set is what the procedure is worth on data that it has not seen.
"""

import argparse
import csv
import statistics
import warnings
from collections.abc import Iterable
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from adbench import SEEDS, SETS, load
from auto import split
from cells import complete, rounded

import whitecrow as wc
from whitecrow.metrics import auroc, average_precision

CANDIDATES = {
    "random": {
        "nearest": "knn(n_neighbours=1)",
        "near": "knn(n_neighbours=5)",
        "wide": "knn(n_neighbours=20)",
        "local": "lof(n_neighbours=20)",
        "mixture": "gaussian-mixture(n_components=5)",
        "sampled": "sample-neighbours(sample_rows=256, n_samples=20)",
        "forest": "isolation-forest",
    },
    "unsupervised": {
        "sampled": "sample-neighbours",
        "sampled_more": "sample-neighbours(n_samples=40, sample_rows=64, n_neighbours=3)",
        "pair": "gaussian-mixture(n_components=2)",
        "mixture": "gaussian-mixture(n_components=5)",
        "covariance": "robust-covariance",
        "far": "knn(n_neighbours=50)",
        "forest": "isolation-forest",
    },
}
_MOST_TESTED = 8000


def committees(how: str) -> list[str]:
    """Return every committee of up to four members, one of them perhaps twice, as names joined by a plus."""
    names = CANDIDATES[how]
    return ["+".join(c) for n in range(1, 5) for c in combinations_with_replacement(names, n) if len(set(c)) >= n - 1]


def run(how: str, name: str, seed: str) -> dict[str, str]:
    """Return the AUROC and the average precision of each committee, joined by semicolons."""
    warnings.simplefilter("ignore")
    X, y = load(name)
    train, test = split(y, how, int(seed))
    test = np.random.default_rng(0).permutation(test)[:_MOST_TESTED]
    regime = "contaminated" if how == "unsupervised" else "clean"
    members = tuple(CANDIDATES[how].values())
    model = wc.Committee(members=members, n_folds=3, regime=regime, random_state=int(seed), verbose=False)
    rarities = model.fit(X[train]).member_scores(X[test])
    places = {member: i for i, member in enumerate(CANDIDATES[how])}
    scores = [rarities[:, [places[m] for m in c.split("+")]].mean(1) for c in committees(how)]
    return {
        "auroc": ";".join(rounded(auroc(y[test], s)) for s in scores),
        "ap": ";".join(rounded(average_precision(y[test], s)) for s in scores),
    }


def page(results: Iterable[dict[str, str]]) -> str:
    """Return the page in Markdown."""
    lines = [
        "# How the members of `auto` were chosen",
        "",
        "`python benchmarks/auto_selection.py`; the figures of all committees are in [selection.csv](selection.csv), "
        "in the order in which the script lists them. Mean AUROC and average precision over 23 ADBench sets and three "
        "seeds, in percent, at most 8,000 test rows. *Left out*: for each set the committee with the best mean AUROC "
        "on the other 22, judged on that set; this is what the procedure is worth on new data. The best on all sets is "
        "chosen on what it is judged on.",
    ]
    cells = {(r["split"], r["set"], r["seed"]): r for r in results}
    for how in CANDIDATES:
        names = committees(how)
        table = {
            f: np.array(
                [
                    np.mean([[float(v) for v in cells[how, s, seed][f].split(";")] for seed in SEEDS], axis=0)
                    for s in SETS
                ]
            )
            for f in ("auroc", "ap")
        }
        roc, precision = 100 * table["auroc"], 100 * table["ap"]
        best_without = [int(np.delete(roc, i, axis=0).mean(0).argmax()) for i in range(len(SETS))]
        left_out = statistics.mean(roc[i, best] for i, best in enumerate(best_without))
        chosen = {names[best]: best_without.count(best) for best in dict.fromkeys(best_without)}
        lines += ["", f"## {how.capitalize()}", "", "| committee | AUROC | AP |", "|---|---|---|"]
        lines.append(f"| left out | {left_out:.2f} | |")
        order = np.argsort(-roc.mean(0))
        single = [i for i, name in enumerate(names) if "+" not in name]
        shown = [*order[:8], *sorted(single, key=lambda i: -roc[:, i].mean())]
        lines += [
            f"| {names[i]} | {roc[:, i].mean():.2f} | {precision[:, i].mean():.2f} |"
            for i in dict.fromkeys(map(int, shown))
        ]
        picked = ", ".join(f"{name} ({n} times)" for name, n in chosen.items())
        lines += ["", f"Chosen with one set left out: {picked}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/auto/selection.csv"))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cells = [(how, name, seed) for how in CANDIDATES for seed in SEEDS for name in SETS]
    complete(options.out, ("split", "set", "seed"), ("auroc", "ap"), cells, run, options.jobs)
    with options.out.open(newline="") as file:
        options.out.with_suffix(".md").write_text(page(list(csv.DictReader(file))))


if __name__ == "__main__":
    main()

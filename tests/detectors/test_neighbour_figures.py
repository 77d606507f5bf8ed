"""KNN and LOF reach the figures known for them on real data."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import whitecrow as wc

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data"))
SEEDS = 3


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Score on one thread: chunks this small gain nothing from two, and lose much beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def figures(name: str, detector: str, **parameters: object) -> tuple[float, float]:
    """Return F1 at the known ratio and AUROC in percent: half of the normal rows train, the others are the test."""
    try:
        data = wc.load_dataset(name, root=DATA)
    except wc.WhitecrowError:
        pytest.skip(f"{name} is absent: set WHITECROW_DATA")
    normal, anomalies = np.flatnonzero(data.y == 0), np.flatnonzero(data.y == 1)
    found = []
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(normal)
        train, test = order[: len(order) // 2], np.r_[order[len(order) // 2 :], anomalies]
        score = wc.detector(detector, random_state=seed, **parameters).fit(data.X[train]).anomaly_score(data.X[test])
        y = data.y[test]
        top = np.argsort(-score, kind="stable")[: y.sum()]
        found.append((100 * y[top].mean(), 100 * roc_auc_score(y, score)))
    return tuple(np.mean(found, axis=0))


# Measured with scikit-learn over 10 splits; a band is that mean and about two standard deviations of one split.
@pytest.mark.parametrize("calibration", [0, 0.1])
@pytest.mark.parametrize(
    ("name", "detector", "parameters", "f1", "auroc"),
    [
        ("thyroid", "knn", {"score_type": "kth"}, (74.6, 6), (98.7, 0.5)),
        ("thyroid", "lof", {"n_neighbours": 20}, (60.2, 12), (96.4, 2.5)),
        ("thyroid", "lof", {}, (74.8, 6), (98.7, 0.5)),
        ("arrhythmia", "knn", {"score_type": "kth"}, (56.7, 5), (80.7, 2.5)),
        ("arrhythmia", "lof", {}, (55.3, 4), (80.4, 2.5)),
        ("arrhythmia", "lof", {"n_neighbours": 50}, (56.5, 6), (80.3, 2.5)),
    ],
)
def test_figures_are_those_of_scikit_learns_neighbours(
    name: str,
    detector: str,
    parameters: dict[str, object],
    f1: tuple[float, float],
    auroc: tuple[float, float],
    calibration: float,
) -> None:
    found_f1, found_auroc = figures(name, detector, calibration=calibration, **parameters)
    assert abs(found_f1 - f1[0]) <= f1[1]
    assert abs(found_auroc - auroc[0]) <= auroc[1]


@pytest.mark.parametrize("score_type", ["mean", "median"])
def test_mean_and_median_rank_as_well_as_the_kth_distance(score_type: str) -> None:
    for name, least in (("thyroid", 98.0), ("arrhythmia", 79.0)):
        assert figures(name, "knn", score_type=score_type)[1] >= least

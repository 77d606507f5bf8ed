"""The boxes of a completely random forest, against tracing by hand and the laws that they follow."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

import whitecrow as wc
from whitecrow.core.errors import ModelFileError
from whitecrow.nn import Networks

RAW = {"scaling": "none", "calibration": 0, "random_state": 0}


def rows(seed: int, n: int, d: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def forest(X: np.ndarray, **parameters: object) -> tuple[wc.RecForest, Networks]:
    detector = wc.RecForest(**{**RAW, **parameters}).fit(X)
    return detector, detector.replicas_.replica(0)


def boxes(X: np.ndarray, new: np.ndarray, **parameters: object) -> tuple[np.ndarray, np.ndarray]:
    detector, net = forest(X, **parameters)
    low, high = detector.box(net, torch.from_numpy(new))
    return low.numpy(), high.numpy()


def traced(net: Networks, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the box of one row by following it down every tree, one cut at a time."""
    low, high = net.lowest.double().numpy().copy(), net.highest.double().numpy().copy()
    for node in net.root.tolist():
        while int(net.right[node]) != node:
            q, threshold = int(net.feature[node]), float(net.threshold[node])
            if float(x[q]) <= threshold:
                high[q], node = min(high[q], threshold), node + 1
            else:
                low[q], node = max(low[q], threshold), int(net.right[node])
    return low, high


@pytest.mark.parametrize(("n_estimators", "max_depth"), [(1, None), (12, None), (12, 3)])
def test_box_is_what_the_cuts_on_the_way_leave(n_estimators: int, max_depth: int | None) -> None:
    X, new = rows(0, 80), np.concatenate([2 * rows(1, 10), rows(0, 80)[:10]])
    detector, net = forest(X, n_estimators=n_estimators, max_depth=max_depth)
    low, high = (corner.numpy() for corner in detector.box(net, torch.from_numpy(new)))
    expected = [traced(net, x) for x in new]
    np.testing.assert_array_equal(low, [e[0] for e in expected])
    np.testing.assert_array_equal(high, [e[1] for e in expected])
    middle = (low + high) / 2
    np.testing.assert_allclose(detector.anomaly_score(new), ((new - middle) ** 2).sum(1), rtol=1e-12)


def test_box_holds_its_row_and_bounds_its_error() -> None:
    # Few distinct values, so that rows stand next to thresholds and each other.
    X = rows(0, 300).round(1)
    new = np.clip(rows(1, 200).round(1), X.min(0), X.max(0))
    for some in (X, new):
        low, high = boxes(X, some)
        assert ((low <= some) & (some <= high)).all()
        score = forest(X)[0].anomaly_score(some)
        assert (score <= (((high - low) / 2) ** 2).sum(1) * (1 + 1e-9)).all()


def test_more_trees_make_no_box_larger() -> None:
    X, new = rows(0, 200), 1.5 * rows(1, 100)
    few, many = boxes(X, new, n_estimators=10), boxes(X, new, n_estimators=60)
    assert (many[0] >= few[0]).all()
    assert (many[1] <= few[1]).all()
    assert (many[1] - many[0]).mean() < 0.5 * (few[1] - few[0]).mean()


def test_cuts_are_completely_random() -> None:
    X = rows(0, 100, 3) * [1, 10, 100]
    X[:, 0] = np.where(X[:, 0] > 0, 5.0, X[:, 0])  # the density of the rows is none of a cut's business
    _, net = forest(X.astype(np.float32), n_estimators=1500, max_depth=1)
    roots = net.root.long()
    feature, threshold = net.feature[roots].numpy(), net.threshold[roots].numpy()
    assert stats.chisquare(np.bincount(feature, minlength=3)).pvalue > 1e-3
    low, high = net.lowest.numpy()[feature], net.highest.numpy()[feature]
    assert stats.kstest((threshold - low) / (high - low), "uniform").pvalue > 1e-3


def test_trees_part_all_rows_that_differ() -> None:
    X = np.repeat(rows(0, 60), 3, axis=0)
    low, high = boxes(X, X, n_estimators=1)
    assert len(np.unique(np.column_stack([low, high]), axis=0)) == 60


def test_rows_out_of_range_are_rebuilt_inside_it() -> None:
    X = rows(0, 200)
    detector, net = forest(X)
    new = np.zeros((4, 4), dtype=np.float32)
    new[:, 1] = [10, 100, 1000, 1e30]
    excess = new[:, 1].astype(float) - X[:, 1].max()
    parts = detector.feature_scores(net, torch.from_numpy(new)).numpy()
    assert (parts[:, 1] >= excess**2).all()
    np.testing.assert_allclose(parts[1:, 1], excess[1:] ** 2, rtol=0.05)
    np.testing.assert_allclose(parts.sum(1), detector.anomaly_score(new), rtol=1e-12)
    assert (parts.argmax(1) == 1).all()


def test_each_tree_is_grown_on_a_sample_beyond_max_samples_alone() -> None:
    X = rows(0, 300)
    leaves = [int((net.right == torch.arange(len(net.right))).sum()) for net in (
        forest(X, n_estimators=4)[1], forest(X, n_estimators=4, max_samples=50)[1]
    )]  # fmt: skip
    assert leaves == [4 * 300, 4 * 50]


def put(name: str, place: int, value: float) -> Callable[[dict[str, torch.Tensor]], object]:
    """Return what writes one value into a buffer."""
    return lambda b: b[name].__setitem__(place, value)


@pytest.mark.parametrize(
    "tamper",
    [
        put("feature", 3, 4),
        put("feature", 3, -1),
        put("right", 3, 2),
        put("right", 3, 2**31 - 1),
        put("right", -1, 0),
        put("root", 1, -1),
        put("root", 1, 10**6),
        put("threshold", 0, float("nan")),
        put("lowest", 0, 100.0),
        lambda b: b.pop("highest"),
        lambda b: b.update(threshold=b["threshold"].float()),
        lambda b: b.update(root=b["root"][1:]),
        lambda b: b.update({k: b[k][:0] for k in ("right", "feature", "threshold")}),
        lambda b: b.update({k: b[k][:2] for k in ("right", "feature", "threshold")}),
    ],
)
def test_tampered_buffers_are_refused(tamper: Callable[[dict[str, torch.Tensor]], object]) -> None:
    detector, net = forest(rows(0, 60), n_estimators=3)
    buffers = {name: tensor.clone() for name, tensor in net.tensors()}
    detector.check_buffers(Networks(**buffers))
    tamper(buffers)
    with pytest.raises(ModelFileError, match="RecForest"):
        detector.check_buffers(Networks(**buffers))

"""Properties of the recurrent encoder-decoder, against cells that run step by step and SciPy."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from sklearn.metrics import roc_auc_score

from whitecrow import Seq2Seq
from whitecrow.core.errors import DataError
from whitecrow.train import Batch

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
TO_THE_END = {"calibration": 0.0, "validation": 0.0, "regime": "clean"}


def ramps(n: int = 8, length: int = 6) -> np.ndarray:
    """Return windows that rise from various levels at various slopes, [n, length, 1]."""
    rng = np.random.default_rng(0)
    return (rng.uniform(-1, 1, (n, 1)) + rng.uniform(0.5, 2, (n, 1)) * np.linspace(0, 1, length))[:, :, None]


def errors(det: Seq2Seq, windows: np.ndarray) -> np.ndarray:
    """Return the signed errors [N, W, C] of the first replica."""
    det.replicas_.train(False)
    with torch.no_grad():
        return det._errors(det.replicas_.replica(0), torch.from_numpy(det.encoder_.transform(windows))).numpy()


@pytest.mark.parametrize("parameters", [{}, {"reverse": False}, {"cell": "gru"}])
def test_eight_windows_can_be_learnt_by_heart_and_are_told_in_the_order_of_time(parameters):
    windows = ramps()
    det = Seq2Seq(random_state=0, epochs=300, lr_schedule="cosine", **TO_THE_END, **parameters).fit(windows)
    found = errors(det, windows)
    assert np.square(found).mean() < 1e-3
    rebuilt = det.encoder_.transform(windows).reshape(found.shape) - found
    assert (np.diff(rebuilt[:, :, 0]) > 0).mean() > 0.95


@pytest.fixture(scope="module")
def fitted() -> Seq2Seq:
    """Two channels, in fixed windows."""
    t = np.arange(20) + np.random.default_rng(1).uniform(0, 20, (60, 1))
    windows = np.stack([np.sin(t / 3), np.cos(t / 3)], -1)
    return Seq2Seq(random_state=0, epochs=3, hidden_dim=8, n_replicas=2, score_type="mahalanobis").fit(windows)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_feeding_back_equals_a_decoder_that_runs_step_by_step(cell):
    det = Seq2Seq(cell=cell, hidden_dim=6, random_state=0, epochs=1).fit(
        np.random.default_rng(0).normal(size=(40, 9, 3))
    )
    net, x = det.replicas_.replica(0), torch.randn(5, 9, 3, generator=torch.Generator().manual_seed(0))
    kind = torch.nn.LSTMCell if cell == "lstm" else torch.nn.GRUCell
    step = kind(3, 6)
    step.load_state_dict({name.removesuffix("_l0"): t for name, t in net.decoder.state_dict().items()})
    with torch.no_grad():
        _, state = net.encoder(x)
        state = (state[0][0], state[1][0]) if cell == "lstm" else state[0]
        told = []
        for _ in range(9):
            said = net.output(state[0] if cell == "lstm" else state)
            told.append(said)
            state = step(said, state)
        expected = x - torch.stack(told, 1).flip(1)
        torch.testing.assert_close(det._errors(net, x.flatten(1)), expected, atol=1e-5, rtol=1e-4)


def test_each_forced_step_sees_the_true_one_before_it():
    rng = np.random.default_rng(0)
    det = Seq2Seq(hidden_dim=6, random_state=0, epochs=1, reverse=False).fit(rng.normal(size=(40, 9, 1)))
    net, x = det.replicas_.replica(0), torch.randn(1, 9, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        state = net.encoder(x)[1]
        told = [net.output(state[0][0])]
        for t in range(8):
            hidden, state = net.decoder(x[:, t : t + 1], state)
            told.append(net.output(hidden[:, 0]))
        expected = x - torch.stack(told, 1)
        torch.testing.assert_close(det._errors(net, x.flatten(1), forced=True), expected, atol=1e-5, rtol=1e-4)


def test_teacher_forcing_is_for_training_only():
    windows = ramps(40)
    det = Seq2Seq(random_state=0, epochs=1, teacher_forcing=True).fit(windows)
    net, batch = det.replicas_.replica(0), Batch(torch.from_numpy(det.encoder_.transform(windows)))
    with torch.no_grad():
        judged = det.loss(net.eval(), batch)
        trained = det.loss(net.train(), batch)
    np.testing.assert_allclose(float(judged), np.square(errors(det, windows)).mean(), rtol=1e-5)
    assert not torch.isclose(judged, trained)


def test_scores_are_the_mahalanobis_distances_of_the_errors(fitted):
    windows = np.random.default_rng(2).normal(size=(4, 20, 2))
    law, found = fitted.replicas_.replica(0).law, errors(fitted, windows)
    x = torch.from_numpy(fitted.encoder_.transform(windows))
    ours = fitted.score_batch(fitted.replicas_.replica(0), x).detach().numpy()
    mean, precision = law.mean.numpy(), law.precision.numpy()
    expected = [[mahalanobis(e, mean, precision) ** 2 for e in window] for window in found]
    np.testing.assert_allclose(ours, expected, rtol=1e-3)


def test_a_spike_has_the_highest_score():
    t = np.arange(600)
    det = Seq2Seq(random_state=0, window=20, epochs=15, regime="clean").fit(np.sin(t / 3))
    series = np.sin(t / 3)
    series[333] += 4
    assert det.anomaly_score(series).argmax() == 333


def test_windows_of_one_step_are_refused():
    with pytest.raises(DataError, match="windows have 1 step"):
        Seq2Seq(window=1).fit(np.arange(50.0))


@pytest.mark.skipif(not (DATA / "timeseries" / "ecg5000_scaled.npz").exists(), reason="ECG5000 is not here")
def test_on_heartbeats_it_is_close_to_the_floor_of_principal_components():
    """Every fifth step, to be quick."""
    with np.load(DATA / "timeseries" / "ecg5000_scaled.npz") as arrays:
        X, y, test, labels = (arrays[k] for k in ("X_test", "y_test", "X_train", "y_train"))
    train, test = ((b - b.mean(1, keepdims=True)) / b.std(1, keepdims=True) for b in (X[y == 1], test))
    det = Seq2Seq(random_state=0, regime="clean", epochs=50).fit(train[:, ::5, None])
    assert roc_auc_score(labels[::3] != 1, det.anomaly_score(test[::3, ::5, None])) > 0.97

"""Properties of the forecaster: optimal on an autoregressive series, causal, channels kept apart."""

import numpy as np
import pytest
import torch

from whitecrow import Forecaster
from whitecrow.core.errors import DataError


def autoregressive(n: int, seed: int, deviation: float = 0.5) -> np.ndarray:
    """Return x_t = 1.6 x_{t-1} - 0.8 x_{t-2} + noise."""
    noise = np.random.default_rng(seed).normal(scale=deviation, size=n + 200)
    x = np.zeros(n + 200)
    for t in range(2, n + 200):
        x[t] = 1.6 * x[t - 1] - 0.8 * x[t - 2] + noise[t]
    return x[200:]


@pytest.mark.parametrize(
    "parameters", [{"window": 12, "lr": 3e-3}, {"window": 8, "model": "lstm", "hidden_dim": 16, "lr": 1e-2}]
)
def test_the_error_on_an_autoregressive_series_is_the_variance_of_its_noise(parameters):
    train, test = autoregressive(3000, 0), autoregressive(3000, 1)
    det = Forecaster(
        random_state=0, scaling="none", regime="clean", epochs=15, dropout=0.0, lr_schedule="cosine", **parameters
    ).fit(train)
    noise = test[2:] - 1.6 * test[1:-1] + 0.8 * test[:-2]
    assert det.anomaly_score(test)[50:].mean() == pytest.approx(noise[48:].var(), rel=0.1)
    # What it has learnt: the step before alone leaves much more.
    assert np.diff(test).var() > 0.5


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    """Two channels of which the second is that of a step before."""
    x = autoregressive(500, 2)
    series = np.stack([x[1:], x[:-1]], -1)
    return Forecaster(
        random_state=0, window=16, epochs=20, lr=3e-3, n_replicas=2, regime="clean", score_type="robust"
    ).fit(series)


def test_a_spike_is_seen_at_its_step_and_changes_no_earlier_score(fitted):
    x = autoregressive(401, 3)
    series = np.stack([x[1:], x[:-1]], -1)
    spiked = series.copy()
    spiked[200] += 12
    before, after = fitted.anomaly_score(series), fitted.anomaly_score(spiked)
    # The prediction of the step after is wrong as well, and by more.
    assert after[200] > 2 * before.max()
    np.testing.assert_allclose(after[:200], before[:200], rtol=1e-5)
    assert fitted.fold == "last"


def test_a_channel_that_repeats_another_is_predicted_much_better(fitted):
    net = fitted.replicas_.replica(0)
    first, second = (net.middle + net.spread).tolist()
    assert second < first / 2


@pytest.mark.parametrize("score_type", ["squared", "robust"])
def test_the_score_is_made_of_the_errors_of_the_last_step(fitted, score_type):
    x = torch.randn(20, 32, generator=torch.Generator().manual_seed(0))
    net = fitted.replicas_.replica(0).eval()
    with torch.no_grad():
        steps = x.reshape(20, 16, 2)
        predicted = net.last(net.reader(steps[:, :15].movedim(1, 2)))
        found = (steps[:, 15] - predicted).numpy()
        expected = np.square(found).mean(1)
        if score_type == "robust":
            scaled = (np.abs(found) - net.middle.numpy()) / net.spread.numpy()
            expected = np.maximum(scaled, 0).mean(1)
        kept = fitted.score_type
        try:
            ours = fitted.set_params(score_type=score_type).score_batch(net, x)
        finally:
            fitted.set_params(score_type=kept)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_the_usual_error_is_the_median_of_the_training_windows():
    x = autoregressive(300, 4)
    det = Forecaster(random_state=0, window=8, epochs=2, score_type="robust", calibration=0.0, validation=0.0).fit(x)
    windows = torch.from_numpy(det.encoder_.transform(x))
    with torch.no_grad():
        found = det._errors(det.replicas_.replica(0), windows).abs().numpy().ravel()
    net = det.replicas_.replica(0)
    assert float(net.middle) == pytest.approx(np.median(found), rel=1e-4)
    assert float(net.spread) == pytest.approx(np.subtract(*np.percentile(found, [75, 25])) + 0.01, rel=1e-4)


def test_several_steps_are_predicted_at_once():
    t = np.arange(500)
    det = Forecaster(random_state=0, window=20, horizon=4, head="average", epochs=20, regime="clean").fit(np.sin(t / 2))
    x = torch.from_numpy(det.encoder_.transform(np.sin(t[:50] / 2)))
    with torch.no_grad():
        assert det._errors(det.replicas_.replica(0), x).shape == (31, 4, 1)


def test_a_window_without_a_past_is_refused():
    with pytest.raises(DataError, match=r"horizon=4\).*windows have 4 steps"):
        Forecaster(window=4, horizon=4).fit(np.arange(50.0))


@pytest.mark.parametrize("window", [2, 3, 6])
def test_short_pasts_are_read(window):
    series = np.random.default_rng(0).normal(size=(60, 3))
    assert Forecaster(random_state=0, window=window, epochs=1).fit(series).anomaly_score(series).shape == (60,)

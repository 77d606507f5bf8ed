"""A detector seen while it is being fitted, and its latent codes."""

import math

import numpy as np
import pytest

import whitecrow
from whitecrow.calibrate import Quantile
from whitecrow.core.errors import ParameterError
from whitecrow.detectors import DeepDetector, NotFittedError
from whitecrow.train import Progress, monitor

FAST = {"epochs": 3, "validation": 0.0, "random_state": 1, "verbose": False}
# Hooks of every kind: none, finish, state that moves after epochs, stages, players, averages, noise, images, windows.
METHODS = {
    "autoencoder": {"score_type": "standardised", "n_replicas": 2},
    "vae": {"n_samples": 2},
    "dagmm": {"warm_up": 1},
    "deep-svdd": {},
    "alad": {},
    "egbad": {},
    "robust-ae": {"regime": "contaminated", "n_replicas": 2},
    "goad": {"n_transformations": 8},
    "usad": {"window": 8},
    "tcn-ae": {"window": 8},
    "conv-vae": {"channels": (4, 8)},
}  # fmt: skip


def samples(name: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if name.startswith("conv"):
        return rng.random((24, 8, 8))
    X = rng.normal(size=(120, 5))
    X[:, 3] = X[:, 0] + X[:, 1]
    return X


def deep(name: str, **parameters) -> DeepDetector:
    made = whitecrow.detector(name, **parameters)
    assert isinstance(made, DeepDetector)
    return made


def looked(detector: DeepDetector, X: np.ndarray, T: np.ndarray) -> list[tuple[Progress, DeepDetector, np.ndarray]]:
    """Fit, and return what was seen after every epoch: progress, detector and scores."""
    seen = []

    def look(progress: Progress) -> None:
        if progress.networks is not None:
            early = detector.as_of(progress)
            seen.append((progress, early, early.anomaly_score(T)))

    with monitor(look):
        detector.fit(X)
    return seen


@pytest.mark.parametrize(("name", "parameters"), METHODS.items())
def test_a_look_leaves_the_fit_alone_and_the_last_one_shows_its_end(name, parameters):
    X, T = samples(name, 0), samples(name, 1)
    watched = deep(name, **FAST, **parameters)
    seen = looked(watched, X, T)
    assert len(seen) >= 3
    np.testing.assert_array_equal(seen[-1][2], watched.anomaly_score(T))
    assert not np.array_equal(seen[0][2], seen[-1][2])
    alone = deep(name, **FAST, **parameters).fit(X)
    np.testing.assert_array_equal(watched.anomaly_score(T), alone.anomaly_score(T))
    assert watched.threshold_ == alone.threshold_


def test_what_was_seen_stays_as_it_was_seen():
    X, T = samples("", 0), samples("", 1)
    seen = looked(deep("autoencoder", **FAST), X, T)
    for _, early, scores in seen:
        np.testing.assert_array_equal(early.anomaly_score(T), scores)


def test_there_is_no_threshold_until_rows_set_one():
    X = samples("", 0)
    detector = deep("autoencoder", **FAST, contamination=0.1)
    detector.fit(X[:60])  # of which nothing may be left in what is seen of the next fit
    _, early, _ = looked(detector, X, X)[-1]
    assert math.isnan(early.threshold_)
    assert not early.is_anomaly(X).any()
    early.set_threshold(Quantile(0.1), X)
    assert early.threshold_ == detector.threshold_
    assert "goes on" not in early.threshold_source_


def test_networks_are_looked_at_between_epochs_alone():
    detector = deep("autoencoder", **FAST)
    detector.fit(samples("", 0))
    with pytest.raises(NotFittedError, match="not within it"):
        detector.as_of(Progress("fit", 1, 3, 0.3, 1.0))


def test_a_method_that_learns_its_score_at_the_end_says_so():
    detector = deep("deep-hybrid", **FAST)
    with pytest.raises(NotFittedError, match="after the training"):
        looked(detector, samples("", 0), samples("", 1))


def test_latent_codes_are_those_of_the_encoder_and_depend_on_no_other_row():
    X = samples("", 0)
    detector = deep("autoencoder", **FAST, latent_dim=3, n_replicas=2).fit(X)
    codes = detector.latent_code(X)
    assert codes.shape == (120, 3)
    import torch

    with torch.no_grad():
        expected = detector.replicas_.replica(0).encoder(torch.from_numpy(detector.encoder_.transform(X)))
    np.testing.assert_allclose(codes, expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(detector.latent_code(X[40:50]), codes[40:50])


def test_a_method_without_a_code_says_so():
    detector = deep("goad", **FAST, n_transformations=8).fit(samples("", 0))
    with pytest.raises(ParameterError, match="no latent code"):
        detector.latent_code(samples("", 1))
    with pytest.raises(NotFittedError):
        deep("autoencoder").latent_code(samples("", 1))

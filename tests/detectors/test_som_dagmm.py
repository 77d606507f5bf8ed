"""Properties of the mixture with a self-organising map, against NumPy, SciPy and the mixture without one."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from whitecrow.detectors.tabular.dagmm import DAGMM
from whitecrow.detectors.tabular.som_dagmm import SOMDAGMM

# All rows train and no number is scaled, so that the tests see what the method sees.
PLAIN = {"random_state": 0, "calibration": 0.0, "validation": 0.0, "scaling": "none", "clip": None}


def sheet(n: int, seed: int) -> np.ndarray:
    """Return rows on a bent sheet in four columns."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-1, 1, (2, n))
    return np.column_stack([2 * u, 2 * v, u**2 - v**2, 0.3 * u * v]).astype(np.float32)


def test_without_a_map_it_is_the_mixture_of_dagmm_bit_for_bit() -> None:
    rows, new = sheet(200, 0), 2 * sheet(50, 1)
    alike = {"epochs": 3, "covariance_floor": 1e-5, **PLAIN}
    ours = SOMDAGMM(n_maps=0, **alike).fit(rows).anomaly_score(new)
    np.testing.assert_array_equal(ours, DAGMM(**alike).fit(rows).anomaly_score(new))


def test_coordinates_are_those_of_the_nearest_unit() -> None:
    rows, new, side = sheet(300, 0), 2 * sheet(200, 1), 6
    det = SOMDAGMM(epochs=1, n_maps=3, map_side=side, **PLAIN).fit(rows)
    net = det.replicas_.replica(0)
    with torch.no_grad():
        z = det._features(net, torch.from_numpy(new))[0].numpy()
    for s, w in enumerate(net.maps.numpy()):
        winner = cdist(new.astype(float), w).argmin(1)
        expected = np.column_stack([winner // side, winner % side]) / (side - 1)
        np.testing.assert_array_equal(z[:, 4 + 2 * s : 6 + 2 * s], expected)
    assert z[:, 4:].min() == 0
    assert z[:, 4:].max() == 1
    assert not np.allclose(*net.maps.numpy()[:2])  # maps of their own


@pytest.mark.filterwarnings("ignore::whitecrow.core.errors.WhitecrowWarning")
def test_rows_that_share_one_winner_leave_the_mixture_regular() -> None:
    rows = np.ones((60, 3))
    det = SOMDAGMM(epochs=2, **PLAIN).fit(rows)
    scale = det.replicas_.replica(0).scale.numpy()
    assert np.linalg.eigvalsh(scale @ scale.transpose(0, 2, 1)).min() > 0.99e-4
    assert np.isfinite(det.anomaly_score(np.vstack([rows, 1e6 * rows]))).all()


def test_a_place_on_the_map_that_is_empty_is_anomalous() -> None:
    """Rows inside a ring are as well rebuilt as those on it; only their place tells them."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 1200)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.03 * rng.normal(size=(1200, 2))
    det = SOMDAGMM(random_state=0, epochs=30, regime="clean").fit(ring[:1000])
    inside = det.anomaly_score(0.05 * rng.normal(size=(100, 2)))
    assert np.median(inside) > np.quantile(det.anomaly_score(ring[1000:]), 0.9)

"""Properties of the robust autoencoder, against NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA  # noqa: N811
from sklearn.metrics import roc_auc_score

from whitecrow import AutoEncoder, RobustAutoEncoder
from whitecrow.train import Batch

LINEAR = {"hidden_dims": (), "activation": "none", "scaling": "none", "lr": 5e-2, "lr_schedule": "cosine"}


def plane(n: int, seed: int = 0) -> np.ndarray:
    """Return rows near a plane in six columns, away from the origin."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(9).normal(size=(6, 2)))[0]
    return rng.normal(size=(n, 2)) @ (directions * [2.0, 1.2]).T + 0.1 * rng.normal(size=(n, 6)) + 0.5


def attack(n: int, seed: int = 1) -> np.ndarray:
    """Return a dense cluster off that plane."""
    rng = np.random.default_rng(seed)
    off = np.linalg.qr(np.random.default_rng(9).normal(size=(6, 3)))[0][:, 2]
    return plane(n, seed) * 0.2 + 4 * off + 0.05 * rng.normal(size=(n, 6))


def parts(det: RobustAutoEncoder, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared errors and the squared distances to the centre, by our own reading."""
    net = det.replicas_.replica(0)
    x = torch.from_numpy(det.encoder_.transform(rows))
    z = net.encoder(x)
    error, distance = x - net.decoder(z), z - net.c
    return tuple((t.detach().numpy().astype(float) ** 2).sum(1) for t in (error, distance))


@pytest.fixture(scope="module")
def contaminated() -> np.ndarray:
    return np.vstack([plane(540), attack(60)])


@pytest.fixture(scope="module")
def fitted(contaminated) -> RobustAutoEncoder:
    return RobustAutoEncoder(random_state=0, latent_dim=2, epochs=60, trim=0.15, calibration=0, **LINEAR).fit(
        contaminated
    )


def test_the_loss_is_the_error_and_the_weighted_distance_to_the_centre(fitted, contaminated):
    x = torch.from_numpy(fitted.encoder_.transform(contaminated))
    error, distance = parts(fitted, contaminated)
    loss = fitted.loss(fitted.replicas_.replica(0), Batch(x)).detach()
    assert float(loss) == pytest.approx((error + distance).mean(), rel=1e-5)


def test_trimmed_training_finds_the_subspace_of_the_normal_rows(fitted, contaminated):
    clean = SklearnPCA(2).fit(contaminated[:540]).components_

    def cosine(det):
        decoder = det.replicas_.replica(0).decoder.weight0.detach().numpy()
        return np.linalg.svd(np.linalg.qr(decoder)[0].T @ clean.T, compute_uv=False).min()

    untrimmed = RobustAutoEncoder(random_state=0, latent_dim=2, epochs=60, trim=0.0, calibration=0, **LINEAR)
    assert cosine(fitted) > 0.999
    assert cosine(untrimmed.fit(contaminated)) < 0.9


def test_the_centre_is_the_mean_code_of_the_rows_that_are_kept(fitted, contaminated):
    """The loss is least in c where the mean of z - c is zero."""
    net = fitted.replicas_.replica(0)
    z = net.encoder(torch.from_numpy(fitted.encoder_.transform(contaminated))).detach().numpy()
    normal, c = z[:540], net.c.detach().numpy()
    assert (np.abs(normal.mean(0) - c) < 0.15 * normal.std(0)).all()
    assert (np.abs(z.mean(0) - c) > np.abs(normal.mean(0) - c)).any()


def test_both_parts_of_the_score_are_in_units_of_their_medians():
    """On half of the rows the error is below D - k, and the distance below k."""
    rows = plane(501)
    det = RobustAutoEncoder(random_state=0, epochs=10, validation=0.0, calibration=0).fit(rows)
    error, distance = parts(det, rows)
    expected = 4 * error / np.median(error) + 2 * distance / np.median(distance)
    np.testing.assert_allclose(det.anomaly_score(rows), expected, rtol=1e-3)
    for kind, part in (("reconstruction", error), ("centre", distance)):
        np.testing.assert_allclose(det.set_params(score_type=kind).anomaly_score(rows), part, rtol=1e-3, atol=1e-5)


def test_a_large_minority_of_training_rows_does_not_move_the_units():
    """A median of 600 rows among which 60 lie anywhere stays between the 40th and the 60th percentile of the others."""
    far = np.vstack([plane(540), np.random.default_rng(3).normal(size=(60, 6)) * 50])
    det = RobustAutoEncoder(random_state=0, epochs=10, trim=0.15, calibration=0, validation=0.0, scaling="none").fit(
        far
    )
    units = [det.replicas_.stacked[name].item() * n for name, n in (("error_unit", 4), ("code_unit", 2))]
    for unit, part in zip(units, parts(det, far[:540]), strict=True):
        assert np.percentile(part, 40) < unit < np.percentile(part, 65)


def test_anomalies_among_the_training_rows_hurt_it_less_than_the_plain_autoencoder():
    contaminated = np.vstack([plane(570), attack(30)])
    rows, y = np.vstack([plane(300, seed=5), attack(300, seed=6)]), np.repeat([0, 1], 300)
    given = {"random_state": 0, "latent_dim": 2, "epochs": 60}
    plain = roc_auc_score(y, AutoEncoder(**given, activation="relu").fit(contaminated).anomaly_score(rows))
    robust = roc_auc_score(y, RobustAutoEncoder(**given, trim=0.1).fit(contaminated).anomaly_score(rows))
    assert plain < 0.9
    assert robust > 0.99


def test_rows_that_are_said_to_be_normal_all_train():
    """Leaving out a share of them would let them score as anomalies do."""
    rows = plane(300)
    given = {"random_state": 0, "epochs": 5}
    trimmed = RobustAutoEncoder(**given).fit(rows).anomaly_score(rows)
    clean = RobustAutoEncoder(**given, regime="clean").fit(rows).anomaly_score(rows)
    np.testing.assert_array_equal(clean, RobustAutoEncoder(**given, trim=0.0).fit(rows).anomaly_score(rows))
    assert not np.array_equal(clean, trimmed)

"""Properties of selection by cluster variance, against NumPy, scikit-learn and the plain autoencoder."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score

from whitecrow import AutoEncoder
from whitecrow.detectors.tabular.duad import DUAD
from whitecrow.nn import derive_seed
from whitecrow.train import Batch

# All rows train and no number is scaled, so that the tests see what the method sees.
PLAIN = {"random_state": 0, "calibration": 0.0, "scaling": "none"}


def blobs_and_noise(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of four tight blobs and a tenth of uniform noise, and which are noise."""
    blobs = make_blobs(900, n_features=3, centers=4, cluster_std=0.15, center_box=(-3, 3), random_state=seed)[0]
    noise = np.random.default_rng(seed).uniform(-4, 4, (100, 3))
    order = np.random.default_rng(seed + 1).permutation(1000)
    return np.vstack([blobs, noise])[order].astype(np.float32), (np.arange(1000) >= 900)[order]


def selections(det: DUAD, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Fit, and return the rows that were clustered and the selections that were made on the way."""
    made: list[tuple[np.ndarray, np.ndarray]] = []
    select = DUAD._select

    def record(self: DUAD, space: np.ndarray, drop: float, seed: int) -> np.ndarray:
        made.append((space, select(self, space, drop, seed)))
        return made[-1][1]

    monkeypatch.setattr(DUAD, "_select", record)
    det.fit(rows)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_the_first_selection_keeps_the_blobs_and_drops_the_noise(seed: int) -> None:
    rows, noise = blobs_and_noise(seed)
    kept = DUAD(n_clusters=5)._select(rows, 0.2, seed)
    assert kept[~noise].mean() >= 0.95
    assert kept[noise].mean() <= 0.4


def test_clusters_are_kept_whole_and_in_the_order_of_their_variance() -> None:
    rows, _ = blobs_and_noise()
    det, seed = DUAD(n_clusters=12), 3
    kept = det._select(rows, 0.5, seed)
    label = det._clusters(rows.astype(np.float64), derive_seed(seed, "clusters") % 2**32)
    variance = {c: np.square(rows[label == c] - rows[label == c].mean(0)).sum(1).mean() for c in np.unique(label)}
    share = {c: kept[label == c].mean() for c in variance}
    assert set(share.values()) == {0.0, 1.0}
    large = [c for c in variance if (label == c).sum() >= 5]
    dropped = [variance[c] for c in large if not share[c]]
    assert max(variance[c] for c in large if share[c]) < min(dropped)
    assert len(dropped) == pytest.approx(len(large) / 2, abs=1)


def test_a_lone_row_is_no_dense_cluster_and_at_least_three_rows_in_ten_are_kept() -> None:
    rows, noise = blobs_and_noise()
    lone = np.vstack([rows[~noise], [[90.0, 90.0, 90.0]]]).astype(np.float32)
    assert not DUAD(n_clusters=8)._select(lone, 0.1, 0)[-1]
    for drop in (0.3, 0.9, 0.99):
        assert 0.3 <= DUAD()._select(rows, drop, 0).mean() <= 1


def test_the_selection_does_not_depend_on_the_order_of_the_rows() -> None:
    rows, _ = blobs_and_noise()
    order = np.random.default_rng(5).permutation(len(rows))
    np.testing.assert_array_equal(DUAD()._select(rows[order], 0.35, 7), DUAD()._select(rows, 0.35, 7)[order])


def test_rows_are_selected_before_training_and_every_interval_epochs_after(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, noise = blobs_and_noise(1)
    made = selections(
        DUAD(epochs=9, interval=2, n_selections=3, n_clusters=5, first_drop=0.2, **PLAIN), rows, monkeypatch
    )
    assert len(made) == 4
    first, kept = made[0]
    # The rows themselves, in an order of the engine's.
    place = {tuple(row): i for i, row in enumerate(rows.tolist())}
    of_noise = noise[[place[tuple(row)] for row in first.tolist()]]
    assert kept[of_noise].mean() <= 0.4
    assert kept[~of_noise].mean() >= 0.95
    assert {space.shape[1] for space, _ in made[1:]} == {3}  # two units of the code, and the cosine


def test_without_dropping_it_is_the_autoencoder() -> None:
    class SameStages(AutoEncoder):
        """The autoencoder, after an epoch at rate 0."""

        stages = DUAD.stages

    rows, _ = blobs_and_noise()
    alike = {"epochs": 5, "validation": 0.0, "activation": "tanh", **PLAIN}
    ours = DUAD(first_drop=0.0, drop=0.0, code_weight=0.0, **alike).fit(rows)
    theirs = SameStages(**alike).fit(rows)
    np.testing.assert_allclose(ours.anomaly_score(rows), theirs.anomaly_score(rows), rtol=1e-4, atol=1e-6)


def test_the_loss_adds_the_norm_of_code_and_cosine() -> None:
    rows, _ = blobs_and_noise()
    det = DUAD(epochs=2, code_weight=0.7, **PLAIN).fit(rows)
    net, x = det.replicas_.replica(0), torch.from_numpy(rows)
    with torch.no_grad():
        z = net.encoder(x)
        rebuilt = net.decoder(z)
        loss = float(det.loss(net, Batch(x)))
    cosine = torch.nn.functional.cosine_similarity(x, rebuilt)
    norm = torch.cat([z, cosine.unsqueeze(1)], 1).norm(dim=1)
    assert loss == pytest.approx(float((x - rebuilt).square().sum(1).mean() + 0.7 * norm.mean()), rel=1e-4)


def test_a_scattered_contamination_is_left_out_of_training() -> None:
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, (900, 2))
    normal = np.column_stack([t, np.sin(t), np.cos(2 * t)]) + 0.02 * rng.normal(size=(900, 6))
    scattered = rng.uniform(-2, 2, (200, 6))
    rows = np.vstack([normal, scattered[:100]])
    test, y = np.vstack([normal[:300], scattered[100:]]), np.repeat([0, 1], [300, 100])
    det = DUAD(random_state=0, epochs=60, lr=3e-3, n_clusters=10, latent_dim=3).fit(rows)
    assert roc_auc_score(y, det.anomaly_score(test)) > 0.95

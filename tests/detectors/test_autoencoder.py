"""Properties of the autoencoder, against NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA  # noqa: N811
from sklearn.metrics import roc_auc_score

from whitecrow import AutoEncoder


def curved(n: int = 600, seed: int = 0) -> np.ndarray:
    """Return rows near a curved surface of two dimensions, in six columns."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-2, 2, (2, n))
    columns = np.column_stack([u, v, np.sin(2 * u), u * v, u - v, np.cos(v)])
    return columns + 0.05 * rng.normal(size=columns.shape)


@pytest.fixture(scope="module")
def fitted() -> AutoEncoder:
    return AutoEncoder(random_state=0, epochs=100, lr=3e-3, regime="clean").fit(curved())


def scaled(det: AutoEncoder, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(det.encoder_.transform(rows))


def feature_errors(det: AutoEncoder, rows: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return det.replicas_.scores(det.feature_scores, scaled(det, rows)).mean(0).numpy()


def test_a_linear_one_has_the_residual_of_pca():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(800, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(800, 8))
    det = AutoEncoder(
        random_state=0, hidden_dims=(), latent_dim=3, activation="none", epochs=300, batch_size=80, lr=1e-2,
        lr_schedule="cosine", validation=0, calibration=0, clip=None,
    ).fit(rows)  # fmt: skip
    x = scaled(det, rows).numpy()
    pca = SklearnPCA(3).fit(x)
    residuals = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1)
    scores = det.anomaly_score(rows)
    assert scores.sum() == pytest.approx(residuals.sum(), rel=0.02)
    assert scores.sum() >= residuals.sum() * (1 - 1e-4)
    assert np.corrcoef(scores, residuals)[0, 1] > 0.99


def test_a_training_row_scores_lower_than_with_a_feature_pushed_by_ten_deviations(fitted):
    rows = curved()[:60]
    pushed = rows.copy()
    j = np.arange(60) % 6
    pushed[np.arange(60), j] += 10 * curved().std(0)[j]
    assert (fitted.anomaly_score(rows) < fitted.anomaly_score(pushed)).all()
    assert (feature_errors(fitted, pushed).argmax(1) == j).mean() > 0.6


@pytest.mark.parametrize("score", ["sum", "max", "standardised"])
def test_the_score_follows_from_the_errors_of_the_features(score):
    det = AutoEncoder(random_state=0, epochs=5, n_replicas=2, score_type=score).fit(curved(200))
    rows = curved(40, seed=1)
    x = scaled(det, rows)
    expected = []
    for r in range(2):
        net = det.replicas_.replica(r)
        error = (x - net.decoder(net.encoder(x))).square().detach().numpy()
        if score == "standardised":
            error /= net.noise_level.numpy()
        expected.append(error.max(1) if score == "max" else error.sum(1))
    np.testing.assert_allclose(det.anomaly_score(rows), np.mean(expected, 0), rtol=1e-4)
    if score != "max":
        np.testing.assert_allclose(feature_errors(det, rows).sum(1), np.mean(expected, 0), rtol=1e-4)


def test_standardising_divides_by_the_mean_error_on_training_rows():
    rows = curved(200)
    det = AutoEncoder(random_state=0, epochs=20, score_type="standardised", validation=0, calibration=0).fit(rows)
    # Each feature's standardised error is 1 on average, so the mean score is the number of features.
    np.testing.assert_allclose(feature_errors(det, rows).mean(0), np.ones(6), rtol=1e-3)
    assert det.anomaly_score(rows).mean() == pytest.approx(6, rel=1e-3)


def test_permuting_the_features_permutes_their_errors():
    """Initial weights are drawn for the columns in their order, so they are permuted with them."""
    order = np.array([3, 1, 5, 0, 4, 2])

    class Permuted(AutoEncoder):
        def networks(self, spec):
            net = super().networks(spec)
            net.encoder.weight0.data = net.encoder.weight0.data[:, order]
            last = len(net.decoder.activations) - 1
            for kind in ("weight", "bias"):
                parameter = getattr(net.decoder, f"{kind}{last}")
                parameter.data = parameter.data[order]
            return net

    rows = curved(200)
    plain = AutoEncoder(random_state=0, epochs=3).fit(rows)
    permuted = Permuted(random_state=0, epochs=3).fit(rows[:, order])
    new = curved(30, seed=1)
    np.testing.assert_allclose(
        feature_errors(permuted, new[:, order]), feature_errors(plain, new)[:, order], rtol=1e-3, atol=1e-5
    )


def test_the_mean_score_of_the_training_rows_is_the_final_training_loss():
    rows = curved(400)
    det = AutoEncoder(random_state=0, epochs=150, lr_schedule="cosine", validation=0, calibration=0).fit(rows)
    assert det.anomaly_score(rows).mean() == pytest.approx(det.history_["fit.loss"][-1][0], rel=0.05)


def test_rows_whose_columns_are_shuffled_are_not_rebuilt(fitted):
    """An autoencoder that rebuilds everything detects nothing: the handbook's probe without labels."""
    normal = curved(300, seed=4)
    shuffled = np.column_stack([np.random.default_rng(j).permutation(c) for j, c in enumerate(normal.T)])
    ordinary, strange = fitted.anomaly_score(normal), fitted.anomaly_score(shuffled)
    assert np.median(strange) > 10 * np.median(ordinary)
    assert roc_auc_score(np.repeat([0, 1], 300), np.r_[ordinary, strange]) > 0.95


def test_a_code_as_wide_as_the_row_rebuilds_everything():
    """The pitfall that the probe finds: without a bottleneck shuffled rows are rebuilt as well."""
    independent = [0, 1, 2, 3, 5]
    det = AutoEncoder(
        random_state=0, hidden_dims=(), latent_dim=5, activation="none", epochs=100, lr=1e-2, regime="clean"
    ).fit(curved()[:, independent])
    normal = curved(300, seed=4)[:, independent]
    shuffled = np.column_stack([np.random.default_rng(j).permutation(c) for j, c in enumerate(normal.T)])
    assert np.median(det.anomaly_score(normal)) < 0.01
    assert np.median(det.anomaly_score(shuffled)) < 0.01


def test_a_penalty_on_the_code_makes_it_smaller():
    rows = curved(300)
    free, held = (
        AutoEncoder(random_state=0, epochs=60, lr=1e-2, code_penalty=p, hidden_dims=(), activation="none").fit(rows)
        for p in (0.0, 1.0)
    )
    lengths = [
        det.replicas_.replica(0).encoder(scaled(det, rows)).square().sum(1).mean().item() for det in (free, held)
    ]
    assert lengths[1] < 0.5 * lengths[0]


def test_dropout_acts_in_training_only():
    rows = curved(200)
    det = AutoEncoder(random_state=0, epochs=5, dropout=0.5).fit(rows)
    np.testing.assert_array_equal(det.anomaly_score(rows), det.anomaly_score(rows))
    plain = AutoEncoder(random_state=0, epochs=5).fit(rows)
    assert det.history_["fit.loss"][-1] > plain.history_["fit.loss"][-1]

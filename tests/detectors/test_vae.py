"""Properties of the variational autoencoder, against torch's distributions and scikit-learn."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA  # noqa: N811
from sklearn.metrics import roc_auc_score
from torch.distributions import Normal, kl_divergence

from whitecrow import VAE
from whitecrow.core.errors import WhitecrowWarning

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def structured(n: int = 400, seed: int = 0) -> np.ndarray:
    """Return rows near a curved surface of two dimensions, in six columns."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-2, 2, (2, n))
    columns = np.column_stack([u, v, np.sin(2 * u), u * v, u - v, np.cos(v)])
    return columns + 0.05 * rng.normal(size=columns.shape)


@pytest.fixture(scope="module")
def fitted() -> VAE:
    return VAE(random_state=0, n_replicas=2, epochs=120, lr=5e-3, validation=0.0, regime="clean").fit(structured(800))


def parts(det: VAE, rows: np.ndarray, r: int) -> tuple[torch.Tensor, Normal]:
    """Return the encoded rows and the distribution of their codes under replica ``r``, by our own reading."""
    x = torch.from_numpy(det.encoder_.transform(rows))
    mu, log_variance = det.replicas_.replica(r).encoder(x).detach().chunk(2, -1)
    return x, Normal(mu, (0.5 * log_variance).exp())


def negative_log_density(det: VAE, x: torch.Tensor, z: torch.Tensor, r: int) -> torch.Tensor:
    mean, raw = det.replicas_.replica(r).decoder(z).detach().chunk(2, -1)
    variance = det.variance_floor + torch.nn.functional.softplus(raw)
    return -Normal(mean, variance.sqrt()).log_prob(x).sum(-1)


def scores(det: VAE, rows: np.ndarray, **parameters) -> np.ndarray:
    """Return the scores ``[R, N]`` under other parameters of scoring, by default the reconstruction probability."""
    kept = det.get_params()
    try:
        return det.set_params(**{"score_type": "probability", **parameters})._score(det.encoder_.transform(rows))
    finally:
        det.set_params(**kept)


def test_the_score_at_the_mean_code_is_the_negative_log_density(fitted):
    rows = structured(50, seed=1)
    ours = scores(fitted, rows)
    constant = rows.shape[1] / 2 * np.log(2 * np.pi * fitted.variance_floor)
    for r in range(2):
        x, code = parts(fitted, rows, r)
        expected = negative_log_density(fitted, x, code.mean, r).numpy() - constant
        np.testing.assert_allclose(ours[r], expected, rtol=1e-4, atol=1e-3)


def test_the_reconstruction_probability_is_the_mean_log_density_over_the_posterior(fitted):
    rows = structured(20, seed=1)
    ours = scores(fitted, rows, n_samples=1000)
    constant = rows.shape[1] / 2 * np.log(2 * np.pi * fitted.variance_floor)
    for r in range(2):
        x, code = parts(fitted, rows, r)
        draws = torch.randn(4000, *code.mean.shape, generator=torch.Generator().manual_seed(0))
        densities = negative_log_density(fitted, x, code.mean + code.stddev * draws, r).numpy() - constant
        error = densities.std(0) * (1 / np.sqrt(4000) + 1 / np.sqrt(1000))
        assert (np.abs(ours[r] - densities.mean(0)) < 5 * error + 1e-3).all()


def test_elbo_adds_the_divergence_of_the_code_from_the_prior(fitted):
    rows = structured(50, seed=1)
    divergence = scores(fitted, rows, score_type="elbo") - scores(fitted, rows)
    for r in range(2):
        _, code = parts(fitted, rows, r)
        expected = kl_divergence(code, Normal(torch.zeros(2), torch.ones(2))).sum(-1).numpy()
        np.testing.assert_allclose(divergence[r], expected, rtol=1e-3, atol=2e-3)


def test_two_scoring_calls_are_equal_and_a_row_scores_the_same_wherever_it_stands(fitted):
    rows = structured(700, seed=2)
    first = fitted.anomaly_score(rows)
    np.testing.assert_array_equal(first, fitted.anomaly_score(rows))
    order = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_allclose(fitted.anomaly_score(rows[order]), first[order], rtol=1e-5)
    np.testing.assert_allclose(fitted.anomaly_score(np.repeat(rows[:1], 300, 0)), first[0], rtol=1e-5)


def test_more_samples_change_the_score_by_less_and_less(fitted):
    rows = structured(100, seed=3)
    many = scores(fitted, rows, n_samples=1000)
    few, some = (np.abs(scores(fitted, rows, n_samples=n) - many).mean() for n in (1, 100))
    assert some < few / 3


@pytest.mark.parametrize("n_samples", [0, 20])
def test_the_score_is_the_sum_of_parts_by_feature_that_are_not_negative(fitted, n_samples):
    det, rows = fitted, structured(30, seed=1)
    expected = scores(det, rows, n_samples=n_samples)
    x = torch.from_numpy(det.encoder_.transform(rows))
    kept = det.n_samples
    try:
        det.set_params(n_samples=n_samples)
        with torch.no_grad():
            by_feature = det.replicas_.scores(det.feature_scores, x).numpy()
    finally:
        det.set_params(n_samples=kept)
    assert by_feature.shape == (2, *rows.shape)
    assert by_feature.min() >= 0
    np.testing.assert_allclose(by_feature.sum(-1), expected, rtol=1e-4)


def test_the_feature_that_was_changed_has_the_largest_part(fitted):
    rows = structured(6, seed=1)
    rows[np.arange(6), np.arange(6)] += 8
    x = torch.from_numpy(fitted.encoder_.transform(rows))
    with torch.no_grad():
        by_feature = fitted.replicas_.scores(fitted.feature_scores, x).mean(0)
    assert (by_feature.argmax(-1).numpy() == np.arange(6)).sum() >= 5


def test_the_code_of_structured_rows_is_in_use(fitted):
    assert min(fitted.active_units_) >= 1
    assert len(fitted.active_units_) == 2
    _, code = parts(fitted, structured(), 0)
    assert int((code.mean.var(0) > 0.01).sum()) == fitted.active_units_[0]


def test_it_learns_more_than_the_distance_to_the_mean(fitted):
    normal = structured(300, seed=4)
    shuffled = np.column_stack([np.random.default_rng(j).permutation(c) for j, c in enumerate(normal.T)])
    rows, y = np.vstack([normal, shuffled]), np.repeat([0, 1], 300)
    distance = ((rows - structured().mean(0)) ** 2 / structured().var(0)).sum(1)
    # Shuffled columns have the same margins, so no distance to the mean can tell them.
    assert roc_auc_score(y, distance) < 0.6
    assert roc_auc_score(y, fitted.anomaly_score(rows)) > 0.9


def test_a_collapsed_code_is_reported():
    with pytest.warns(WhitecrowWarning, match=r"no unit of the code is active in replicas \[0\]"):
        det = VAE(random_state=0, epochs=40, beta=100.0, warm_up=0, lr=1e-2).fit(structured(200))
    assert det.active_units_ == [0]


def test_the_weight_of_the_divergence_rises_to_beta_and_stays():
    for warm_up, epochs, expected in [(0, 2, 0.7), (1, 1, 0.7), (4, 3, 0.7)]:
        det = VAE(random_state=0, warm_up=warm_up, epochs=epochs, beta=0.7).fit(structured(100))
        assert det.replicas_.stacked["beta"].tolist() == pytest.approx([expected])
        assert len(det.history_.get("warm-up.loss", [])) == warm_up
        assert len(det.history_["fit.loss"]) == epochs


def test_rows_far_away_have_finite_scores():
    det = VAE(random_state=0, epochs=3, clip=None).fit(structured(200))
    assert np.isfinite(det.anomaly_score(np.full((3, 6), [[1e3], [1e6], [-1e6]]))).all()


def test_a_linear_vae_finds_the_subspace_of_pca():
    """Tipping and Bishop (1999), Lucas et al. (2019): its optimum is probabilistic PCA."""
    rng = np.random.default_rng(0)
    loadings = np.linalg.qr(rng.normal(size=(6, 6)))[0][:, :2] * [2.0, 1.5]
    rows = rng.normal(size=(2000, 2)) @ loadings.T + 0.3 * rng.normal(size=(2000, 6))
    linear = {"hidden_dims": (), "latent_dim": 2, "activation": "none", "scaling": "none", "variance_floor": 1e-4}
    det = VAE(random_state=0, epochs=60, batch_size=64, lr=2e-2, lr_schedule="cosine", **linear).fit(rows)
    ours = det.replicas_.replica(0).decoder.weight0[:6].detach().numpy()
    components = SklearnPCA(2).fit(rows).components_
    cosines = np.linalg.svd(np.linalg.qr(ours)[0].T @ components.T, compute_uv=False)
    assert cosines.min() > 0.98
    # The learnt variance of the features is that of the noise, 0.09.
    _, code = parts(det, rows, 0)
    raw = det.replicas_.replica(0).decoder(code.mean).detach().chunk(2, -1)[1]
    variance = det.variance_floor + torch.nn.functional.softplus(raw)
    assert float(variance.mean()) == pytest.approx(0.09, rel=0.15)


@pytest.mark.skipif(not (DATA / "intrusion" / "deepad_8020").exists(), reason="the deepad rows are not here")
def test_on_the_deepad_rows_it_beats_the_distance_to_the_training_mean():
    """The published VAE, AUROC 0.947, is that distance: its code has collapsed."""
    folder = DATA / "intrusion"
    test = [pl.read_csv(folder / "deepad_8020" / f"test_{n}.csv.gz") for n in ("inliers", "outliers")]
    names = [c for c in test[0].columns if c != "target"]
    rows, y = np.vstack([t.select(names).to_numpy() for t in test]), np.repeat([0, 1], [8000, 2000])
    # In the file, "count" is the 23rd column; from the 24th on stand the 18 columns, then the attack.
    kdd = pl.read_csv(folder / "kddcup.data_10_percent.gz", has_header=False, columns=[*range(23, 42)])
    train = kdd.filter(kdd.to_series(-1) == "normal.").to_numpy()[:, :18].astype(float)
    assert train.shape == (97_278, 18)
    low, high = train.min(0), train.max(0)
    distance = (((rows - low) / (high - low) - ((train - low) / (high - low)).mean(0)) ** 2).sum(1)
    assert roc_auc_score(y, distance) == pytest.approx(0.947, abs=0.001)
    sample = train[np.random.default_rng(0).permutation(len(train))[:10_000]]
    det = VAE(random_state=0, n_replicas=3, epochs=20, scaling="minmax", clip=None, regime="clean").fit(sample)
    assert min(det.active_units_) >= 1
    assert roc_auc_score(y, det.anomaly_score(rows)) > 0.955

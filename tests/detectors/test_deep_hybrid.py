"""Properties of the deep hybrid, against scikit-learn, NumPy and the shallow detectors by themselves."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM as SklearnOneClassSVM

import whitecrow as wc
from whitecrow import DeepDetector, DeepHybrid
from whitecrow.core import registry
from whitecrow.core.errors import ModelFileError, ParameterError

SHALLOW = [
    name
    for name in registry.names("table")
    if not issubclass(registry.load(name), DeepDetector) and not hasattr(registry.load(name), "inner")
]


def plane(n: int, seed: int = 0) -> np.ndarray:
    """Return rows near a plane in six columns."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(9).normal(size=(6, 2)))[0]
    return rng.uniform(-2, 2, (n, 2)) @ directions.T + 0.02 * rng.normal(size=(n, 6))


def encoded(det: DeepHybrid, rows: np.ndarray, r: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, z and x' of replica ``r``."""
    x = torch.from_numpy(det.encoder_.transform(rows))
    net = det.replicas_.replica(r)
    z = net.encoder(x)
    return tuple(t.detach().numpy().astype(float) for t in (x, z, net.decoder(z)))


@pytest.fixture
def identity(monkeypatch):
    """Let the networks start as the identity; a vanishing learning rate leaves them there."""
    build = DeepHybrid.networks

    def networks(self, spec):
        net = build(self, spec)
        for network in (net.encoder, net.decoder):
            network.weight0.data.copy_(torch.eye(spec.n_features))
        return net

    monkeypatch.setattr(DeepHybrid, "networks", networks)
    return {"hidden_dims": (), "latent_dim": 6, "activation": "none", "epochs": 1, "lr": 1e-30, "validation": 0.0}


def test_a_committee_is_no_shallow_detector():
    with pytest.raises(ParameterError, match="without gradients"):
        DeepHybrid(shallow="committee", random_state=0).fit(plane(50))


@pytest.mark.parametrize("name", SHALLOW)
def test_with_an_identity_for_an_encoder_it_is_the_shallow_detector(name, identity):
    train, test = plane(400), plane(200, seed=1) * 1.3
    expected = wc.detector(name, scaling="standard", random_state=0).fit(train).anomaly_score(test)
    ours = DeepHybrid(shallow=name, code="latent", random_state=0, **identity).fit(train).anomaly_score(test)
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=1e-4 * np.abs(expected).max())


def test_the_score_is_that_of_scikit_learn_on_the_composite_code():
    train, test = plane(400), plane(100, seed=1) * 1.5
    det = DeepHybrid(
        shallow="one-class-svm", shallow_parameters=("nu=0.2", "tol=1e-8"), random_state=0, epochs=5, calibration=0,
        validation=0.0,
    ).fit(train)  # fmt: skip

    def code(rows):
        x, z, rebuilt = encoded(det, rows)
        error = ((x - rebuilt) ** 2).sum(1)
        cosine = (x * rebuilt).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(rebuilt, axis=1)
        return np.column_stack([z, np.log(1 + error), cosine])

    learnt = code(train)
    mean, deviation = learnt.mean(0), learnt.std(0)
    svm = SklearnOneClassSVM(nu=0.2, gamma="scale", tol=1e-8).fit((learnt - mean) / deviation)
    expected = -svm.decision_function((code(test) - mean) / deviation)
    np.testing.assert_allclose(det.anomaly_score(test), expected, atol=2e-3 * np.abs(expected).max())


def test_a_training_row_has_the_same_code_when_it_is_scored():
    train = plane(300)
    det = DeepHybrid(shallow="knn", shallow_parameters=("n_neighbours=1",), random_state=0, epochs=5, calibration=0)
    own, new = det.fit(train).anomaly_score(train), det.anomaly_score(plane(300, seed=1))
    assert own.max() < 1e-4 * np.median(new)


def test_the_composite_code_sees_rows_that_fall_onto_codes_of_normal_ones():
    train, normal = plane(600), plane(200, seed=1)
    away = np.linalg.svd(train, full_matrices=False)[2][-1]  # a direction that the plane lacks
    rows, y = np.vstack([normal, plane(200, seed=2) + 0.5 * away]), np.repeat([0, 1], 200)
    linear = {"hidden_dims": (), "activation": "none", "scaling": "none", "epochs": 60, "lr": 1e-2, "random_state": 0}
    auroc = {
        code: roc_auc_score(y, DeepHybrid(shallow="knn", code=code, **linear).fit(train).anomaly_score(rows))
        for code in ("latent", "composite")
    }
    assert auroc["latent"] < 0.65
    assert auroc["composite"] > 0.95


def test_fused_is_the_mean_of_the_two_ranks_and_goes_on_beyond_them():
    train = plane(400)
    det = DeepHybrid(random_state=0, shallow="knn", epochs=5, calibration=0, clip=None).fit(train)
    far = np.linspace(1, 50, 40)[:, None] * plane(1, seed=3)

    def score(score_type, rows):
        return det.set_params(score_type=score_type).anomaly_score(rows)

    ranks = [(rankdata(score(kind, train)) - 1) / 399 for kind in ("shallow", "error")]
    np.testing.assert_allclose(score("fused", train), np.mean(ranks, 0), atol=1 / 128)
    x, _, rebuilt = encoded(det, train)
    np.testing.assert_allclose(score("error", train), ((x - rebuilt) ** 2).sum(1), rtol=1e-3, atol=1e-6)
    assert (np.diff(score("fused", far)) > 0)[-20:].all()
    assert score("fused", far).max() > 1


@pytest.mark.parametrize("name", SHALLOW)
def test_rows_whose_codes_overflow_are_scored_as_anomalies(name):
    train = plane(200)
    det = DeepHybrid(shallow=name, random_state=0, epochs=2, clip=None).fit(train)
    far = det.anomaly_score(np.array([[1.0], [-1.0]]) * [[1e10, 1e15, 1e20, 1e30, 3e37, 3e37]])
    assert np.isfinite(far).all()
    assert (far > np.median(det.anomaly_score(train))).all()


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"shallow": "isolation-forrest"}, "Did you mean isolation-forest"),
        ({"shallow": "autoencoder"}, "without gradients.*Accepted are .*isolation-forest.*lof"),
        ({"shallow": "deep-hybrid"}, "without gradients"),
        ({"shallow": "knn", "shallow_parameters": ("n_neighbors=3",)}, "Did you mean n_neighbours"),
        ({"shallow": "knn", "shallow_parameters": ("n_neighbours=0",)}, "at least 1"),
        ({"shallow": "knn", "shallow_parameters": ("n_neighbours",)}, "at least 1"),
    ],
)
def test_a_shallow_detector_that_cannot_be_is_refused_before_training(parameters, says, monkeypatch):
    monkeypatch.setattr(DeepHybrid, "networks", lambda self, spec: pytest.fail("training has begun"))
    with pytest.raises(ParameterError, match=says):
        DeepHybrid(**parameters).fit(plane(50))


@pytest.mark.parametrize("name", SHALLOW)
def test_replicas_that_learn_buffers_of_unequal_sizes_are_solo_fits_also_in_a_file(name, tmp_path):
    # Rows that repeat, and a code that some replicas squeeze to a point, make the numbers of distinct codes differ.
    train, test = np.round(plane(200), 1), plane(60, seed=1)
    # Stacked products round otherwise, and a solver that stops early stops elsewhere.
    given = {"shallow": name, "epochs": 3, "shallow_parameters": ("tol=1e-9",) if name == "one-class-svm" else ()}
    det = DeepHybrid(n_replicas=3, random_state=0, **given).fit(train)
    _, spread = det.anomaly_score(test, return_std=True)
    assert (spread > 0).any()
    solo = [DeepHybrid(random_state=seed, **given).fit(train).anomaly_score(test) for seed in det.replica_seeds_]
    np.testing.assert_allclose(det.anomaly_score(test), np.mean(solo, 0), rtol=1e-3)
    det.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(wc.load(tmp_path / "model.safetensors").anomaly_score(test), det.anomaly_score(test))


def test_one_class_svms_of_unequal_numbers_of_support_vectors_stand_side_by_side():
    det = DeepHybrid(shallow="one-class-svm", n_replicas=3, random_state=0, epochs=3).fit(plane(200))
    sizes = det.replicas_.stacked["sizes.support"]
    assert len(set(sizes[:, 0].tolist())) > 1
    assert det.replicas_.stacked["shallow.support"].shape[1:] == (*sizes.amax(0),)


@pytest.mark.parametrize("size", [-1, 10**6, 0])
def test_sizes_that_the_buffers_cannot_have_are_refused(size):
    det = DeepHybrid(shallow="knn", random_state=0, epochs=1).fit(plane(60))
    det.check_buffers(det.replicas_.replica(0))
    det.replicas_.stacked["sizes.rows"][0, 0] = size
    with pytest.raises(ModelFileError):
        det.check_buffers(det.replicas_.replica(0))

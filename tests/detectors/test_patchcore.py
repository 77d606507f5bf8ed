"""PatchCore against scikit-learn's neighbours, its own equations, and files that name other extractors."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from torch import nn

import whitecrow as wc
from whitecrow.core import parameters
from whitecrow.core.errors import MissingExtraError, ModelFileError, ParameterError
from whitecrow.detectors.image.patchcore import PatchCore
from whitecrow.nn import Networks, seeded
from whitecrow.nn.extractors import ModuleExtractor, Preprocessing


def stripes(n, seed, side=16, turned=False):
    """Return images of soft stripes at any phase, horizontal or turned by a right angle, bytes [n, side, side]."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, size=(n, 1, 1))
    wave = np.sin(2 * np.pi * np.arange(side)[None, :, None] / 4 + phase) + rng.normal(scale=0.1, size=(n, side, side))
    return (127 + 50 * (wave.swapaxes(1, 2) if turned else wave)).clip(0, 255).astype(np.uint8)


def digits(normal, n_anomalies=100):
    """Return training images of one digit, test images, and which of these are another digit."""
    data = load_digits()
    rng = np.random.default_rng(0)
    own, others = (rng.permutation(np.flatnonzero((data.target == normal) == same)) for same in (True, False))
    n = int(0.8 * len(own))
    test = np.concatenate([own[n:], others[:n_anomalies]])
    images = (data.images * 15).astype(np.uint8)
    return images[own[:n]], images[test], np.repeat([0, 1], [len(own) - n, n_anomalies])


def identity(size=(16, 16)):
    """Return an extractor whose only map is the image."""
    preprocessing = Preprocessing((0.5,), (0.5,), size)
    return ModuleExtractor(nn.Sequential(nn.Identity(), nn.Identity()), ["0"], preprocessing)


def plain(**given):
    """Return a detector whose bank is every patch of every image, and whose score is the distance."""
    return PatchCore(
        **{"random_state": 0, "calibration": 0, "ratio": 1.0, "max_bank": 10**6, "n_neighbours": 1, **given}
    )


def patches(detector, images):
    """Return the patches of images, [n, places, features]."""
    net = detector.replicas_.replica(0)
    return detector._patches(net, torch.from_numpy(detector._encode(images)))[0].double().numpy()


# ---- distances -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extractor", ["random", identity()])
def test_whole_bank_gives_the_distance_to_the_nearest_patch(extractor):
    train, test = stripes(12, 0), stripes(5, 1, turned=True)
    detector = plain(extractor=extractor, smoothing=0).fit(train)
    bank, queries = patches(detector, train), patches(detector, test)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(bank.reshape(-1, bank.shape[2]))
    distance = search.kneighbors(queries.reshape(-1, bank.shape[2]))[0].reshape(len(test), -1)
    np.testing.assert_allclose(detector.anomaly_score(test), distance.max(1), rtol=1e-5)


def test_identity_for_an_extractor_gives_neighbours_among_pixels():
    train, test = stripes(12, 0), stripes(3, 1, turned=True)
    detector = plain(extractor=identity(), smoothing=0).fit(train)

    def averages(images):
        padded = np.pad(images / 127.5 - 1.0, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
        return np.nanmean(np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)), axis=(3, 4))

    distance = np.abs(averages(test).ravel()[:, None] - averages(train).ravel()).min(1).reshape(test.shape)
    np.testing.assert_allclose(detector.anomaly_map(test), distance, atol=1e-6)
    np.testing.assert_allclose(detector.anomaly_score(test), distance.max((1, 2)), atol=1e-6)


def test_training_images_are_at_distance_zero_from_the_whole_bank():
    train = stripes(12, 0)
    detector = plain().fit(train)
    assert detector.anomaly_score(train).max() < 1e-4
    assert detector.anomaly_score(stripes(3, 1, turned=True)).min() > 1


def test_order_of_the_bank_does_not_matter():
    detector = PatchCore(random_state=0, min_bank=1).fit(stripes(30, 0))
    buffers = dict(detector.replicas_.replica(0).tensors())
    x = torch.from_numpy(detector._encode(stripes(6, 1, turned=True)))
    expected = detector.score_batch(Networks(**buffers), x)
    order = torch.randperm(len(buffers["bank"]), generator=torch.Generator().manual_seed(0))
    shuffled = Networks(**{**buffers, "bank": buffers["bank"][order]})
    torch.testing.assert_close(detector.score_batch(shuffled, x), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("b", [2, 9, 10**6])
def test_weight_is_that_of_equation_7(b):
    train, test = stripes(20, 0), stripes(4, 1, turned=True)
    detector = plain(n_neighbours=b, ratio=0.05, min_bank=1, max_bank=60).fit(train)
    bank = detector.replicas_.replica(0).bank.double().numpy()
    for score, q in zip(detector.anomaly_score(test), patches(detector, test), strict=True):
        distance = np.linalg.norm(q[:, None] - bank, axis=2)
        place = distance.min(1).argmax()
        nearest = distance[place].argmin()
        around = np.linalg.norm(bank - bank[nearest], axis=1).argsort()[:b]
        raised = np.exp(distance[place])
        expected = (1 - raised[nearest] / raised[around].sum()) * distance[place, nearest]
        assert score == pytest.approx(expected, rel=1e-6)


def test_weight_of_very_large_distances_is_finite():
    network = nn.Sequential(nn.Conv2d(1, 2, 1))
    with torch.no_grad():
        network[0].weight.fill_(1e6)
    extractor = ModuleExtractor(network, ["0"], Preprocessing((0.5,), (0.5,), (16, 16)))
    detector = PatchCore(extractor=extractor, random_state=0, ratio=0.2, min_bank=1).fit(stripes(20, 0))
    # The stripes leave no pixel black: the most isolated patch is far from the bank.
    scores = detector.anomaly_score(np.zeros((2, 16, 16), np.uint8))
    assert np.isfinite(scores).all()
    assert scores.min() > 1e4


# ---- the bank --------------------------------------------------------------------------------------------------------


def bank_of(**given):
    detector = PatchCore(random_state=0, calibration=0, **given).fit(stripes(40, 0))
    return detector.replicas_.replica(0).bank


def test_bank_keeps_its_share_within_its_limits():
    n = 40 * 8 * 8
    assert len(bank_of(min_bank=1)) == round(0.1 * n)
    assert len(bank_of(min_bank=700)) == 700
    assert len(bank_of(ratio=0.5, max_bank=300)) == 300
    assert len(bank_of(ratio=1.0)) == n


def test_larger_banks_leave_no_larger_distances():
    test = stripes(20, 1)
    banks = [plain(ratio=ratio, min_bank=1).fit(stripes(40, 0)).anomaly_score(test) for ratio in (0.01, 0.1, 1.0)]
    assert banks[0].mean() > banks[1].mean() > banks[2].mean()
    assert (banks[1] >= banks[2]).all()


def test_coreset_covers_better_than_a_random_choice():
    train = stripes(40, 0)
    chosen = plain(ratio=0.05, min_bank=1).fit(train)
    every = patches(chosen, train).reshape(-1, 193)
    bank = chosen.replicas_.replica(0).bank.numpy()

    def radius(rows):
        return NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(every)[0].max()

    by_chance = every[np.random.default_rng(0).permutation(len(every))[: len(bank)]]
    assert radius(bank) < 0.9 * radius(by_chance)


def test_candidates_are_sampled_where_there_are_very_many(monkeypatch):
    monkeypatch.setattr("whitecrow.detectors.image.patchcore._MAX_CANDIDATE_VALUES", 193 * 500)
    assert len(bank_of(ratio=1.0)) == 500


def test_trimming_keeps_anomalous_patches_out_of_the_bank():
    dirty = np.concatenate([stripes(60, 0), stripes(2, 1, turned=True)])
    test, other = stripes(30, 2), stripes(30, 3, turned=True)
    labels = np.repeat([0, 1], 30)
    given = {"random_state": 0, "min_bank": 1, "calibration": 0}
    kept, trimmed = (PatchCore(trim=trim, **given).fit(dirty) for trim in (0.0, 0.05))
    both = np.concatenate([test, other])
    ratio = [d.anomaly_score(other).mean() / d.anomaly_score(test).mean() for d in (kept, trimmed)]
    assert ratio[1] > 1.3 * ratio[0]
    assert roc_auc_score(labels, trimmed.anomaly_score(both)) == 1


# ---- places ----------------------------------------------------------------------------------------------------------


def test_pasted_patch_lights_its_place():
    train = stripes(40, 0, side=32)
    detector = PatchCore(random_state=0, min_bank=300).fit(train)
    images, strange = stripes(12, 1, side=32), stripes(12, 2, side=32, turned=True)
    rng = np.random.default_rng(0)
    for image, other in zip(images, strange, strict=True):
        top, left = rng.integers(0, 32 - 10, size=2)
        square = np.s_[top : top + 10, left : left + 10]
        image[square] = other[square]
        found = detector.anomaly_map(image[None])[0]
        row, column = np.unravel_index(found.argmax(), found.shape)
        # A cell of the grid has 4 pixels.
        assert top - 4 <= row < top + 14
        assert left - 4 <= column < left + 14


def test_place_counts_where_it_is_asked_to():
    rng = np.random.default_rng(0)
    train = rng.normal(100, 4, size=(40, 16, 16))
    train[:, 2:6, 2:6] += 80
    test = rng.normal(100, 4, size=(10, 16, 16))
    usual, moved = test.copy(), test.copy()
    usual[:, 2:6, 2:6] += 80
    moved[:, 10:14, 10:14] += 80
    train, usual, moved = (x.clip(0, 255).astype(np.uint8) for x in (train, usual, moved))

    def contrast(weight):
        detector = PatchCore(random_state=0, position_weight=weight, min_bank=1).fit(train)
        return detector.anomaly_score(moved).mean() / detector.anomaly_score(usual).mean()

    assert contrast(2.0) > 1.5 * contrast(0.0)


# ---- quality ---------------------------------------------------------------------------------------------------------


def test_other_digits_are_found():
    train, test, labels = digits(8)
    assert roc_auc_score(labels, PatchCore(random_state=0, min_bank=1000).fit(train).anomaly_score(test)) > 0.97


def test_shuffled_pixels_are_much_worse():
    rng = np.random.default_rng(0)
    train, test = stripes(40, 0), np.concatenate([stripes(24, 1), stripes(24, 2, turned=True)])
    noise = [rng.permuted(x.reshape(len(x), -1), axis=1).reshape(x.shape) for x in (train, test)]

    def auroc(a, b):
        scores = PatchCore(random_state=0, min_bank=300).fit(a).anomaly_score(b)
        return roc_auc_score(np.repeat([0, 1], 24), scores)

    assert auroc(train, test) > auroc(*noise) + 0.2


# ---- the choice of an extractor --------------------------------------------------------------------------------------


def test_random_network_is_called_random():
    detector = PatchCore(random_state=0, min_bank=1).fit(stripes(10, 0))
    assert detector.extractor_is_random_
    assert detector.summary_["extractor_is_random"] is True
    assert detector.summary_["extractor_fingerprint"] == detector.extractor_fingerprint_
    other = PatchCore(random_state=1).fit(stripes(10, 0))
    assert other.extractor_fingerprint_ != detector.extractor_fingerprint_
    assert not PatchCore(extractor=identity()).fit(stripes(10, 0)).summary_["extractor_is_random"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"extractor": "resnet18"}, "'random', 'timm:NAME', 'onnx:PATH'"),
        ({"extractor": "timm:"}, "timm:NAME"),
        ({"extractor": "timm:resnet18"}, "cannot do without"),
        ({"weights": "w.safetensors"}, "belong to 'timm:NAME'"),
        ({"extractor": "onnx:m.onnx", "weights": "w"}, "belong to 'timm:NAME'"),
        ({"layers": ("layer2",)}, "Leave them out"),
        ({"extractor": "onnx:m.onnx", "layers": ()}, "at least one map"),
        ({"extractor": 3}, "string or a FeatureExtractor"),
        ({"extractor": "onnx:absent.onnx"}, r"no file 'absent.onnx'. Nothing is downloaded"),
        ({"extractor": "timm:resnet18", "weights": "absent"}, "no file 'absent'"),
        ({"ratio": 0.0}, "ratio"),
        ({"trim": 0.6}, "trim"),
    ],
)
def test_impossible_choices_are_refused(given, says):
    with pytest.raises(ParameterError, match=says):
        PatchCore(**given).fit(stripes(4, 0))


def test_extractor_made_in_python_is_cloned_described_and_refused_by_save(tmp_path):
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
    detector = PatchCore(extractor=ModuleExtractor(network, ["1"]), random_state=0, min_bank=1)
    copy = clone(detector)
    assert copy.get_params() == detector.get_params()
    scores = detector.fit(stripes(10, 0)).anomaly_score(stripes(3, 1))
    np.testing.assert_array_equal(copy.fit(stripes(10, 0)).anomaly_score(stripes(3, 1)), scores)
    with pytest.raises(ParameterError, match=r"extractor=ModuleExtractor.*cannot be written to a model file"):
        detector.save(tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()


def test_parameters_have_a_schema_and_are_read_from_a_command_line():
    properties = json.loads(json.dumps(parameters.schema(PatchCore)))["properties"]
    assert properties["extractor"]["default"] == "random"
    annotation = parameters.fields(PatchCore)["extractor"].annotation
    assert parameters.parse("PatchCore", "extractor", "timm:resnet18", annotation) == "timm:resnet18"


# ---- model files -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return PatchCore(random_state=0, min_bank=1).fit(stripes(8, 0))


@pytest.mark.parametrize("given", [{}, {"position_weight": 0.5}], ids=["default", "places"])
def test_saved_detector_scores_the_same(given, tmp_path):
    detector = PatchCore(random_state=0, **given).fit(stripes(12, 0))
    detector.save(tmp_path / "model.safetensors")
    loaded = wc.load(tmp_path / "model.safetensors")
    test = stripes(5, 1, turned=True)
    np.testing.assert_array_equal(loaded.anomaly_score(test), detector.anomaly_score(test))
    np.testing.assert_array_equal(loaded.anomaly_map(test), detector.anomaly_map(test))
    assert loaded.extractor_fingerprint_ == detector.extractor_fingerprint_
    assert loaded.extractor_is_random_


@pytest.mark.parametrize(
    "tamper",
    [
        lambda b: b.pop("bank"),
        lambda b: b.update(bank=b["bank"][:0]),
        lambda b: b.update(bank=b["bank"][:, :-1]),
        lambda b: b.update(bank=b["bank"].double()),
        lambda b: b.update(bank=b["bank"][0]),
        lambda b: b["bank"].fill_(float("nan")),
        lambda b: b.update(kernel_0=b["kernel_0"][:-1]),
        lambda b: b.update(kernel_3=b["kernel_1"].clone()),
        lambda b: b.pop("mean_1"),
        lambda b: b["std_0"].zero_(),
        lambda b: b.update(unit=torch.ones(())),
    ],
)
def test_tampered_buffers_are_refused(small, tamper):
    detector = small
    buffers = {name: tensor.clone() for name, tensor in detector.replicas_.replica(0).tensors()}
    detector.check_buffers(Networks(**buffers))
    tamper(buffers)
    with pytest.raises(ModelFileError, match="PatchCore"):
        detector.check_buffers(Networks(**buffers))


@pytest.fixture
def onnxruntime(monkeypatch):
    """Put a runtime whose only model halves the sides in the place of the real one, which may not be installed."""

    class Session:
        def __init__(self, content, options, providers):
            if not content.startswith(b"model"):
                raise RuntimeError("no graph")

        def get_inputs(self):
            return [SimpleNamespace(name="x", shape=["n", 3, "h", "w"], type="tensor(float)")]

        def get_outputs(self):
            return [SimpleNamespace(name="map", shape=["n", 3, "h", "w"])]

        def run(self, names, given):
            return [given["x"][:, :, ::2, ::2]]

    module = ModuleType("onnxruntime")
    module.InferenceSession, module.SessionOptions = Session, SimpleNamespace
    monkeypatch.setitem(sys.modules, "onnxruntime", module)


@pytest.fixture
def saved(onnxruntime, monkeypatch, tmp_path):
    """Return a detector whose features come from a file, and its model file, with the first in a folder."""
    monkeypatch.delenv("WHITECROW_WEIGHTS", raising=False)
    (tmp_path / "weights").mkdir()
    source = tmp_path / "weights" / "net.onnx"
    source.write_bytes(b"model 1")
    detector = PatchCore(extractor=f"onnx:{source}", random_state=0, min_bank=50).fit(stripes(8, 0))
    detector.save(tmp_path / "model.safetensors")
    return detector, tmp_path / "model.safetensors", source


def test_extractor_file_is_found_by_its_name_in_the_users_folder(saved, monkeypatch):
    detector, path, source = saved
    monkeypatch.setenv("WHITECROW_WEIGHTS", str(source.parent))
    loaded = wc.load(path)
    np.testing.assert_array_equal(loaded.anomaly_score(stripes(3, 1)), detector.anomaly_score(stripes(3, 1)))
    assert not loaded.extractor_is_random_


def test_path_in_a_model_file_is_never_followed(saved):
    _, path, _ = saved
    with pytest.raises(ModelFileError, match=r"does not hold the file 'net\.onnx'.*set .*WHITECROW_WEIGHTS"):
        wc.load(path)


def test_absent_other_and_broken_extractor_files_are_refused(saved, monkeypatch, tmp_path):
    _, path, source = saved
    monkeypatch.setenv("WHITECROW_WEIGHTS", str(source.parent))
    source.write_bytes(b"model 2")
    with pytest.raises(ModelFileError, match="its fingerprint is"):
        wc.load(path)
    source.write_bytes(b"something else")
    with pytest.raises(ModelFileError, match="no graph"):
        wc.load(path)
    monkeypatch.setenv("WHITECROW_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelFileError, match="Put it into a folder"):
        wc.load(path)


@pytest.mark.parametrize("name", ["..", "onnx:", "a/..", "..\\..", "C:"])
def test_names_that_lead_out_of_the_folder_are_refused(saved, monkeypatch, name):
    detector, _, source = saved
    monkeypatch.setenv("WHITECROW_WEIGHTS", str(source.parent))
    net = detector.replicas_.replica(0)
    with pytest.raises(ModelFileError, match="Put it into a folder"):
        clone(detector).set_params(extractor=f"onnx:{name}")._restore_extractor(net)


def test_runtime_that_is_absent_where_a_model_is_loaded_is_named(saved, monkeypatch):
    _, path, source = saved
    monkeypatch.setenv("WHITECROW_WEIGHTS", str(source.parent))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="onnx"):
        wc.load(path)

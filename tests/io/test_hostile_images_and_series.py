"""Files of detectors of images and series, forged with right checksums: they are refused, or they score."""

import time

import numpy as np
import pytest
from forgery import ALTERATIONS, STRANGE, document_of, extremes, forge, header_of, paths, removing, setting
from verdict import refuses

from whitecrow.core import registry
from whitecrow.core.errors import ModelFileError, TrainingError
from whitecrow.io import load

IMAGES = np.random.default_rng(0).integers(0, 256, size=(40, 8, 8)) / 255
SERIES = np.random.default_rng(1).normal(size=(90, 2))
MODELS = {
    "conv-autoencoder": {"channels": (4,), "latent_dim": 2, "epochs": 1},
    "patchcore": {"min_bank": 20, "max_bank": 20, "n_neighbours": 3},
    "k-means-ad": {"window": 8, "n_clusters": 3},
    "matrix-profile": {"window": 8},
    "patch-memory": {"window": 8, "channels": (4, 4)},
    "spectral-residual": {"window": 8},
    "sub-pca": {"window": 8},
}
OF_IMAGES, OF_SERIES = list(MODELS)[:2], list(MODELS)[2:]
SMALLEST = {"image": "conv-autoencoder", "sequence": "sub-pca"}


def samples(name):
    return IMAGES if name in OF_IMAGES else SERIES


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Return the bytes of a model file of each detector."""
    path, found = tmp_path_factory.mktemp("models") / "model.safetensors", {}
    for name, settings in MODELS.items():
        registry.load(name)(random_state=0, **settings).fit(samples(name)).save(path)
        found[name] = path.read_bytes()
    return found


def refused_or_scores(path, name):
    """Check that a file is refused soon, or gives scores that are finite, or an error that says they are not."""
    start = time.process_time()
    try:
        scores = load(path).anomaly_score(samples(name)[:12])
    except (ModelFileError, TrainingError):
        pass
    else:
        assert scores.shape == (12,)
        assert np.isfinite(scores).all()
    assert time.process_time() - start < 1


# ---- encoders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALLEST.values())
def test_an_encoder_with_any_node_replaced_or_removed_is_refused_or_loads(name, contents, written):
    content = contents[name]
    rng = np.random.default_rng(0)
    for path in paths(document_of(content)):
        if path[0] not in ("encoder", "spec"):
            continue
        for k in rng.permutation(len(STRANGE))[:4]:
            refused_or_scores(written(forge(content, setting(path, STRANGE[k]))), name)
        refuses(written(forge(content, removing(path))))


@pytest.mark.parametrize("name", SMALLEST.values())
def test_unknown_fields_of_an_encoder_are_refused(name, contents, written):
    refuses(written(forge(contents[name], setting(("encoder", "extra"), 1))), "encoder")


IMAGE_ENCODERS = {
    "no channels": ("shape", [0, 8, 8]),
    "two channels": ("shape", [2, 8, 8]),
    "negative side": ("shape", [1, -8, 8]),
    "fractional side": ("shape", [1, 8.0, 8]),
    "side of a truth value": ("shape", [True, 8, 8]),
    "too few lengths": ("shape", [8, 8]),
    "too many lengths": ("shape", [1, 1, 8, 8]),
    "shape as text": ("shape", "188"),
    "vast shape": ("shape", [3, 1 << 13, 1 << 13]),
    "shape beyond 64 bits": ("shape", [1, 10**40, 1]),
    "range that ends before it begins": ("low", 2.0),
    "range of one value": ("high", 0.0),
    "range too narrow for floats": ("high", 1e-320),
    "range beyond floats": ("high", 1e300),
    "no range": ("low", None),
    "range of a truth value": ("high", True),
    "range as text": ("low", "0"),
    "range of forty digits": ("low", -(10**40)),
}


@pytest.mark.parametrize(("field", "value"), IMAGE_ENCODERS.values(), ids=IMAGE_ENCODERS.keys())
def test_an_encoder_of_images_that_no_fit_leaves_is_refused(field, value, contents, written, peak_growth):
    refuses(written(forge(contents["conv-autoencoder"], setting(("encoder", field), value))), "encoder of images")
    assert peak_growth() < 64 << 20


SERIES_ENCODERS = {
    "no steps": ("length", 0),
    "negative window": ("length", -8),
    "fractional window": ("length", 8.0),
    "vast window": ("length", 1 << 26),
    "window beyond 64 bits": ("length", 10**40),
    "window parameter of 0": ("window", 0),
    "window parameter below 0": ("window", -8),
    "vast window parameter": ("window", 1_000_001),
    "window parameter as a word": ("window", "long"),
    "no stride": ("stride", 0),
    "negative stride": ("stride", -1),
    "stride of a truth value": ("stride", True),
    "third period": ("rank", 3),
    "unknown fold": ("fold", "sum"),
    "unknown scaling": ("scaling", "quantile"),
    "clip of 0": ("clip", 0),
    "negative clip": ("clip", -10.0),
    "unknown source": ("source", "file"),
    "no channels": ("columns", []),
    "fewer channels": ("columns", [{"name": "x0", "kind": "number"}]),
    "more channels": ("columns", [{"name": f"x{k}", "kind": "number"} for k in range(3)]),
    "repeated channels": ("columns", [{"name": "x0", "kind": "number"}] * 2),
    "other channels": ("columns", [{"name": name, "kind": "number"} for name in "ab"]),
    "channels in another order": ("columns", [{"name": name, "kind": "number"} for name in ("x1", "x0")]),
    "channel of words": ("columns", [{"name": "x0", "kind": "number"}, {"name": "x1", "kind": "category"}]),
    "half a surrogate pair": ("columns", [{"name": "x0", "kind": "number"}, {"name": "\ud800", "kind": "number"}]),
    "channels as text": ("columns", "x0x1"),
}


@pytest.mark.parametrize(("field", "value"), SERIES_ENCODERS.values(), ids=SERIES_ENCODERS.keys())
def test_an_encoder_of_series_that_no_fit_leaves_is_refused(field, value, contents, written, peak_growth):
    refuses(written(forge(contents["sub-pca"], setting(("encoder", field), value))))
    assert peak_growth() < 64 << 20


def put(row, column, value):
    def change(statistics):
        statistics = statistics.copy()
        statistics[row, column] = value
        return statistics

    return change


STATISTICS = {
    "offset of NaN": put(0, 0, np.nan),
    "infinite scale": put(1, 1, np.inf),
    "mean of NaN": put(1, 2, np.nan),
    "scale of 0": put(0, 1, 0.0),
    "negative scale": put(1, 1, -1.0),
    "range that ends before it begins": put(0, 3, 1e9),
    "single precision": lambda a: a.astype(np.float32),
    "integers": lambda a: a.astype(np.int64),
    "one channel": lambda a: a[:1],
    "no channel": lambda a: a[:0],
    "three channels": lambda a: np.concatenate([a, a[:1]]),
    "four statistics": lambda a: a[:, :4],
    "transposed": lambda a: a.T,
    "another axis": lambda a: a[..., None],
}


@pytest.mark.parametrize("change", STATISTICS.values(), ids=STATISTICS.keys())
def test_statistics_of_channels_that_no_fit_leaves_are_refused(change, contents, written):
    def tensors(arrays):
        arrays["encoder.channels"] = np.ascontiguousarray(change(arrays["encoder.channels"]))

    refuses(written(forge(contents["sub-pca"], tensors=tensors)))


@pytest.mark.parametrize(("name", "tensor"), [("sub-pca", "encoder.more"), ("conv-autoencoder", "encoder.channels")])
def test_a_missing_or_an_additional_tensor_of_an_encoder_is_refused(name, tensor, contents, written):
    refuses(written(forge(contents[name], tensors=lambda t: t.update({tensor: np.zeros((2, 5))}))), "encoder")
    if name == "sub-pca":
        refuses(written(forge(contents[name], tensors=lambda t: t.pop("encoder.channels"))), "encoder")


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for names, kinds in ((OF_IMAGES, ("table", "sequence", "tokens")),
                                       (OF_SERIES, ("table", "image", "tokens"))) for name in names for kind in kinds],
)  # fmt: skip
def test_a_file_of_another_kind_is_refused(name, kind, contents, written):
    refuses(written(forge(contents[name], setting(("spec", "kind"), kind))))
    if kind not in SMALLEST:
        return
    other = {field: document_of(contents[SMALLEST[kind]])[field] for field in ("spec", "encoder")}
    for chosen in (("spec",), ("encoder",), ("spec", "encoder")):
        refuses(written(forge(contents[name], lambda d, chosen=chosen: d.update({f: other[f] for f in chosen}))))


# ---- what the methods learn ------------------------------------------------------------------------------------------


# The buffers of networks are compared with those that the parameters ask for; here the method alone knows them.
@pytest.mark.parametrize("name", [name for name in MODELS if name != "conv-autoencoder"])
def test_buffers_of_another_dtype_or_shape_are_refused_or_score(name, contents, written):
    for buffer in document_of(contents[name])["digests"]:
        for alter in ALTERATIONS if buffer.startswith("networks.") else ():

            def change(tensors, buffer=buffer, alter=alter):
                if tensors[buffer].ndim > 1:
                    tensors[buffer] = np.ascontiguousarray(alter(tensors[buffer]))

            refused_or_scores(written(forge(contents[name], tensors=change)), name)


@pytest.mark.parametrize("name", MODELS)
def test_absurd_numbers_in_buffers_are_refused_or_score(name, contents, written, peak_growth):
    for buffer, description in header_of(contents[name]).items():
        for value in extremes(description["dtype"]) if buffer.startswith("networks.") else ():

            def change(tensors, buffer=buffer, value=value):
                tensors[buffer] = np.full_like(tensors[buffer], value)

            refused_or_scores(written(forge(contents[name], tensors=change)), name)
    assert peak_growth() < 256 << 20


@pytest.mark.parametrize("name", MODELS)
def test_numbers_that_are_not_finite_and_missing_tensors_are_refused(name, contents, written):
    for buffer, description in header_of(contents[name]).items():
        if not buffer.startswith("networks."):
            continue
        refuses(written(forge(contents[name], tensors=lambda t, buffer=buffer: t.pop(buffer))))
        for value in (np.nan, np.inf) if description["dtype"].startswith("F") else ():

            def change(tensors, buffer=buffer, value=value):
                tensors[buffer] = tensors[buffer].copy()
                tensors[buffer].flat[-1] = value

            refuses(written(forge(contents[name], tensors=change)), "not finite")


EMPTY = {"k-means-ad": "centroids", "matrix-profile": "windows", "patch-memory": "memory.bank", "patchcore": "bank"}


@pytest.mark.parametrize(("name", "buffer"), EMPTY.items())
def test_a_memory_without_entries_is_refused(name, buffer, contents, written):
    axis = 2 if name == "matrix-profile" else 1

    def change(tensors):
        tensors[f"networks.{buffer}"] = np.take(tensors[f"networks.{buffer}"], [], axis=axis)

    refuses(written(forge(contents[name], tensors=change)), "it has no|its bank is")


@pytest.mark.parametrize("factor", [2.0, 1e20, 3e38])
def test_a_memory_of_descriptions_that_are_no_directions_is_refused(factor, contents, written):
    def change(tensors):
        tensors["networks.memory.bank"] = np.full_like(tensors["networks.memory.bank"], factor)

    refuses(written(forge(contents["patch-memory"], tensors=change)), "longer than 1")


# ---- sizes -----------------------------------------------------------------------------------------------------------


def resized(name, content, shape):
    """Return a file that speaks of samples of another shape throughout, and holds none."""
    n_features = int(np.prod(shape))

    def document(d):
        d["spec"]["shape"] = list(shape)
        if name in OF_IMAGES:
            d["encoder"]["shape"] = list(shape)
        else:
            d["encoder"]["length"] = shape[0]

    return forge(content, document, lambda t: t.update(reference=np.zeros((0, n_features), np.float32)))


@pytest.mark.parametrize("name", MODELS)
def test_samples_far_larger_than_the_file_are_refused_in_little_memory(name, contents, written, peak_growth):
    shape = (1, 1 << 12, 1 << 12) if name in OF_IMAGES else (1 << 23, 2)
    refuses(written(resized(name, contents[name], shape)))
    assert peak_growth() < 64 << 20

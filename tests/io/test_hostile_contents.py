"""Whatever a file with right checksums says, loading gives a detector that scores, or a ModelFileError."""

import copy
import hashlib
import time
from functools import cache, partial

import numpy as np
import pytest
from forgery import (
    ALTERATIONS,
    STRANGE,
    data_of,
    document_of,
    every_ninth,
    extremes,
    forge,
    header_of,
    parent,
    paths,
    removing,
    setting,
)
from hypothesis import given
from hypothesis import strategies as st
from verdict import FUZZ, refuses

from whitecrow.core import registry
from whitecrow.core.errors import ModelFileError, TrainingError
from whitecrow.core.parameters import fields
from whitecrow.io import load

NAME = "networks.noise_level"


def test_a_document_with_any_node_replaced_or_removed_is_refused_or_loads(content, written, rows):
    document = document_of(content)
    nodes = [path for path in paths(document) if path[0] != "digests" or len(path) < 2]
    rng = np.random.default_rng(0)
    for path in nodes:
        chosen = [STRANGE[k] for k in rng.permutation(len(STRANGE))[:3]]
        for value in [*chosen, "removed"]:
            change = removing(path) if value == "removed" else setting(path, value)
            try:
                detector = load(written(forge(content, change)))
            except ModelFileError:
                continue
            assert np.isfinite(detector.anomaly_score(rows)).all(), (path, value)


def test_a_document_changed_without_its_checksum_is_refused(content, written):
    document = document_of(content)
    for path in paths(document):
        before = copy.deepcopy(parent(document, path)[path[-1]])
        value = "other" if before != "other" else "another"
        refuses(written(forge(content, setting(path, value), seal=False)))


def test_unknown_fields_are_refused_at_every_level(content, written):
    document = document_of(content)
    free = {("summary",), ("summary", "versions"), ("training", "history")}
    for path in [(), *paths(document)]:
        node = parent(document, (*path, None))
        if isinstance(node, dict) and path not in free:

            def change(d, path=path):
                parent(d, (*path, None))["extra"] = 1

            refuses(written(forge(content, change)))


DOCUMENTS = {
    "newer format": (lambda d: d.update(format=2), "newer version"),
    "format of a truth value": (lambda d: d.update(format=True), "format"),
    "unknown class": (lambda d: d.update(detector="no-such-detector"), "not installed"),
    "import path": (lambda d: d.update(detector="os:system"), "not installed"),
    "another class": (lambda d: d.update(detector="pca"), None),
    "unknown parameter": (lambda d: d["parameters"].update(depth=3), "depth"),
    "parameter out of range": (lambda d: d["parameters"].update(contamination=0.9), "contamination"),
    "parameter of another type": (lambda d: d["parameters"].update(hidden_dims="6"), "hidden_dims"),
    "parameter that is no float": (lambda d: d["parameters"].update(lr=True), "lr"),
    "checkpoint path": (lambda d: d["parameters"].update(checkpoint="/tmp/overwritten"), "checkpoint"),
    "vast layer": (lambda d: d["parameters"].update(hidden_dims=[10**9]), None),
    "vaster layer": (lambda d: d["parameters"].update(hidden_dims=[10**18, 10**18]), None),
    "layer beyond 64 bits": (lambda d: d["parameters"].update(hidden_dims=[10**40]), None),
    "ten thousand layers": (lambda d: d["parameters"].update(hidden_dims=[6] * 10_000), "larger"),
    "layers without end": (lambda d: d["parameters"].update(hidden_dims=[6] * 400_000), "hidden_dims"),
    "other layers": (lambda d: d["parameters"].update(hidden_dims=[6, 6]), "lacks tensors"),
    "other width": (lambda d: d["parameters"].update(latent_dim=3), "parameters ask for"),
    "no dropout": (lambda d: d["parameters"].update(dropout=0.0), "do not have"),
    "another kind": (lambda d: d["spec"].update(kind="image"), None),
    "unknown kind": (lambda d: d["spec"].update(kind="sound"), "spec"),
    "vast spec": (lambda d: d["spec"].update(shape=[10**12]), None),
    "more features": (lambda d: d["spec"].update(shape=[5]), None),
    "seeds missing": (lambda d: d.update(replica_seeds=[]), "replica_seeds"),
    "seeds for more replicas": (lambda d: d.update(replica_seeds=[1, 2]), None),
    "replicas without end": (lambda d: d.update(replica_seeds=[1] * 400_000), "replica_seeds"),
    "escape sequence": (lambda d: d["threshold"].update(source="\x1b[2J"), "source"),
    "no training": (lambda d: d.update(training=None), "training"),
    "threshold of a hundred digits": (lambda d: d["threshold"].update(value=10**100), "too large"),
    "encoder column of another kind": (lambda d: d["encoder"]["columns"][0].update(kind="date"), "encoder"),
    "encoder of another width": (lambda d: d["encoder"]["columns"].pop(), None),
    "wrong digest": (lambda d: d["digests"].update({NAME: "0" * 32}), "checksum"),
    "digest missing": (lambda d: d["digests"].pop(NAME), "Digests"),
}


@pytest.mark.parametrize(("change", "match"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_sealed_document_that_lies_is_refused(change, match, content, written, peak_growth):
    path = written(forge(content, change))
    refuses(path, match)
    assert peak_growth() < 256 << 20


@FUZZ
@given(
    parameters=st.dictionaries(
        st.sampled_from(
            [
                "hidden_dims",
                "latent_dim",
                "dropout",
                "activation",
                "n_replicas",
                "clip",
                "random_state",
                "device",
            ]
        ),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(10**30), 10**30),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(max_size=8),
            st.lists(st.integers(-2, 10**12), max_size=6),
        ),
        max_size=3,
    )
)
def test_any_parameters_are_refused_or_load(parameters, content, written, rows):
    try:
        detector = load(written(forge(content, lambda d: d["parameters"].update(parameters))))
    except ModelFileError:
        return
    assert np.isfinite(detector.anomaly_score(rows)).all()


def test_numbers_that_are_not_finite_are_refused_in_every_tensor(content, written):
    for name, description in header_of(content).items():
        if name == "__metadata__" or not description["dtype"].startswith("F") or 0 in description["shape"]:
            continue
        for value in (np.nan, np.inf, -np.inf):

            def change(tensors, name=name, value=value):
                tensors[name] = tensors[name].copy()
                tensors[name].flat[-1] = value

            refuses(written(forge(content, tensors=change)), "not finite")


def test_a_tensor_of_another_dtype_or_shape_is_refused(content, written):
    for name in list(document_of(content)["digests"]):
        for alter in (
            lambda a: a.astype(np.float64 if a.dtype != np.float64 else np.float32),
            lambda a: a.astype(np.int16),
            lambda a: a.astype(bool),
            lambda a: a[None],
            lambda a: a[..., None],
            lambda a: np.concatenate([a, a]) if len(a) else np.zeros((1, *a.shape[1:]), a.dtype),
        ):
            if name in ("fit_scores", "calibration_scores", "reference") and alter(np.zeros(1)).shape == (2,):
                continue  # more scores or rows are no fault

            def change(tensors, name=name, alter=alter):
                tensors[name] = np.ascontiguousarray(alter(tensors[name]))

            refuses(written(forge(content, tensors=change)))


def test_reference_rows_of_another_width_are_refused(content, written):
    changed = forge(content, tensors=lambda t: t.update(reference=np.zeros((3, 5), np.float32)))
    refuses(written(changed), "reference rows have 5 features")


def test_a_spec_that_the_encoder_does_not_meet_is_refused(boxed, written):
    changed = forge(
        boxed,
        lambda d: d["spec"].update(shape=[5]),
        lambda t: t.update(reference=np.zeros((3, 5), np.float32)),
    )
    refuses(written(changed), r"encoder makes rows of the shape \(4,\)")


def test_a_missing_or_an_additional_tensor_is_refused(content, written):
    for name in list(document_of(content)["digests"]):
        refuses(written(forge(content, tensors=lambda t, name=name: t.pop(name))))
    for name in (
        "networks.extra",
        "networks.encoder.weights.9",
        "networks.encoder.dropout.noise.pool",
        "encoder.extra",
    ):
        refuses(written(forge(content, tensors=lambda t, name=name: t.update({name: np.zeros((1, 4), np.float32)}))))


def test_scores_out_of_order_are_refused(content, written):
    for name in ("fit_scores", "calibration_scores"):
        change = partial(lambda t, name: t.update({name: np.ascontiguousarray(t[name][::-1])}), name=name)
        refuses(written(forge(content, tensors=change)), "order")


def test_buffers_that_the_method_finds_fault_with_are_refused(boxed, written):
    for value in (-1, 4, 1 << 62):
        refuses(written(forge(boxed, tensors=lambda t, v=value: t["networks.order"].put(0, v))), "order of Box")
    for tensor in (np.zeros((1, 4, 2)), np.zeros((1, 0)), np.zeros((2, 4))):
        refuses(written(forge(boxed, tensors=lambda t, a=tensor: t.update({"networks.high": a}))))


def test_truth_values_other_than_0_and_1_are_refused(boxed, written):
    place = header_of(boxed)["networks.used"]["data_offsets"]
    data = bytearray(data_of(boxed))
    data[place[0]] = 2
    raw = hashlib.blake2b(data[slice(*place)], digest_size=16).hexdigest()
    sealed = forge(boxed, lambda d: d["digests"].update({"networks.used": raw}))
    refuses(written(sealed[: -len(data)] + bytes(data)), "truth values")


def test_two_replicas_of_a_method_that_has_one_are_refused(boxed, written):
    def double(tensors):
        for name in tensors:
            if name.startswith("networks."):
                tensors[name] = np.concatenate([tensors[name]] * 2)

    refuses(written(forge(boxed, lambda d: d.update(replica_seeds=[0, 1]), double)), "only one")


def test_a_plugin_that_is_no_longer_installed_is_named(boxed, written, monkeypatch):
    path = written(boxed)
    monkeypatch.undo()
    refuses(path, "'box', which is not installed. Install the package")


def test_child_indices_out_of_range_are_refused(rows, tmp_path, written):
    registry.load("isolation-forest")(random_state=0).fit(rows).save(tmp_path / "forest.safetensors")
    content = (tmp_path / "forest.safetensors").read_bytes()
    integers = [
        name
        for name, description in header_of(content).items()
        if name.startswith("networks.") and description["dtype"] in ("I16", "I32", "I64")
    ]
    assert integers
    for name in integers:
        for value in (np.iinfo(np.int16).max, -2, -(2**15)):

            def change(tensors, name=name, value=value):
                tensors[name] = np.full_like(tensors[name], value)

            refuses(written(forge(content, tensors=change)))


# A short search, and one hidden layer: what is tried is the file.
SEARCH = {"anogan": {"n_starts": 16, "n_search_steps": 2}}


@pytest.fixture(scope="module")
def content_of(rows, tmp_path_factory):
    """Return a function that returns the bytes of a small model file of a detector."""
    folder = tmp_path_factory.mktemp("models")

    @cache
    def saved(name):
        cls = registry.load(name)
        small = {"epochs": 1, "hidden_dims": (4,)}
        brief = {field: small[field] for field in set(small) & set(fields(cls))} | SEARCH.get(name, {})
        cls(random_state=0, **brief).fit(rows, every_ninth(rows)).save(folder / name)
        return (folder / name).read_bytes()

    return saved


@pytest.mark.parametrize("name", registry.names("table"))
def test_buffers_of_another_dtype_or_shape_are_refused_or_score(name, rows, content_of, written):
    content = content_of(name)
    buffers = [name for name in document_of(content)["digests"] if name.startswith("networks.")]
    for buffer in buffers:
        for alter in ALTERATIONS:

            def change(tensors, buffer=buffer, alter=alter):
                if tensors[buffer].ndim > 1:
                    tensors[buffer] = np.ascontiguousarray(alter(tensors[buffer]))

            try:
                scores = load(written(forge(content, tensors=change))).anomaly_score(rows)
            except (ModelFileError, TrainingError):  # the latter says that scores are not finite
                continue
            assert scores.shape == (len(rows),), buffer


@pytest.mark.parametrize("name", registry.names("table"))
def test_absurd_numbers_in_buffers_are_refused_or_score(name, rows, content_of, written, peak_growth):
    content = content_of(name)
    for buffer, description in header_of(content).items():
        if not buffer.startswith("networks.") or description["dtype"] == "BOOL":
            continue
        for value in extremes(description["dtype"]):

            def change(tensors, buffer=buffer, value=value):
                tensors[buffer] = np.full_like(tensors[buffer], value)

            start = time.process_time()
            try:
                scores = load(written(forge(content, tensors=change))).anomaly_score(rows)
            except (ModelFileError, TrainingError):  # the latter says that scores are not finite
                pass
            else:
                assert np.isfinite(scores).all(), (buffer, value)
            assert time.process_time() - start < 1, (buffer, value)
    assert peak_growth() < 256 << 20

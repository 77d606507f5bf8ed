"""Images and series in a workspace: kept as they came, fitted by detectors of their kind, and explained."""

import hashlib

import numpy as np
import polars as pl
import pytest
from tests.workspace.conftest import wait

from whitecrow.core.errors import DataError, ParameterError
from whitecrow.explain.samples import ImageReasons, SeriesReasons
from whitecrow.io import load
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule, Workspace
from whitecrow.workspace.samples import steps_that_train


def images(n=60, side=8, seed=0):
    """Grey squares in the middle; the anomalies have a bright corner."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 30, (n, side, side)).astype(np.uint8)
    X[:, 2:6, 2:6] += 150
    odd = rng.random(n) < 0.2
    X[odd, :2, :2] = 255
    return X, odd.astype(int)


def series(n=600):
    """A sine with a burst near its end and one in the middle."""
    t = np.arange(n)
    v = np.sin(t / 5) + np.random.default_rng(0).normal(0, 0.05, n)
    label = np.zeros(n, dtype=int)
    for place in (200, 500):
        v[place : place + 8] += 2
        label[place : place + 8] = 1
    return pl.DataFrame({"t": t, "v": v, "label": label})


def done(workspace, request):
    """Return the run of a request, once it has ended as it should."""
    run = wait(workspace, workspace.jobs.submit(request).id)
    assert run.state == "done", run.error
    return run


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    made = Workspace(tmp_path_factory.mktemp("samples") / "space")
    made.jobs.start()
    yield made
    made.jobs.close()


@pytest.fixture(scope="module")
def image_run(space):
    X, y = images()
    record = space.datasets.add_samples(X, "Squares", "image", labels=y)
    return record, done(space, FitRequest(record.id, "pca", {"n_components": 5}, regime="clean"))


@pytest.fixture(scope="module")
def beat_run(space):
    rng = np.random.default_rng(0)
    X = np.sin(np.linspace(0, 6, 40)) + rng.normal(0, 0.1, (60, 40))
    record = space.datasets.add_samples(X, "Waves", "sequence")
    request = FitRequest(record.id, "sub-pca", {"score_type": "reconstruction"})
    return record, done(space, request)


@pytest.fixture(scope="module")
def series_run(space):
    settings = DatasetSettings(label="label", time="t")
    record = space.datasets.add(series(), "Sine", kind="sequence", settings=settings)
    request = FitRequest(record.id, "sub-pca", {"window": 30}, regime="clean", split=SplitRule("order"))
    return record, done(space, request)


def test_arrays_are_kept_as_they_came(workspace):
    X, y = images()
    record = workspace.datasets.add_samples(X, "Squares", "image", labels=y)
    assert (record.kind, record.shape, record.rows, record.columns) == ("image", (1, 8, 8), 60, 64)
    kept = workspace.datasets.array(record.id)
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept[:, 0], X)
    folder = workspace.datasets.file(record.id).parent
    data = (folder / "samples.npy").read_bytes() + (folder / "data.parquet").read_bytes()
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    assert record.bytes == len(data)
    assert record.labels["anomalous_rows"] == y.sum()
    assert workspace.datasets.get(record.id) == record
    table = workspace.datasets.table(record.id)
    np.testing.assert_allclose(table["mean"], X.reshape(60, -1).mean(1))
    np.testing.assert_allclose(table["deviation"], X.reshape(60, -1).std(1))
    assert table.columns == ["least", "greatest", "mean", "deviation", "label"]


def test_equal_samples_are_told_as_copies_and_others_are_not(workspace):
    X, _ = images(20)
    shifted = np.roll(X[:1], 1, axis=2)
    record = workspace.datasets.add_samples(np.concatenate([X, X[:5], shifted]), "Squares", "image")
    hashes = workspace.datasets.rows(record.id)[0].hash_rows(seed=0)
    assert hashes.n_unique() == 21


def test_labels_that_say_nothing_by_themselves_wait_for_the_person(workspace):
    X, _ = images(20)
    record = workspace.datasets.add_samples(X, "Digits", "image", labels=np.arange(20) % 5 + 3)
    assert record.settings.label is None
    changed = workspace.datasets.change(record.id, settings=DatasetSettings(label="label", normal=("3", "4")))
    assert changed.labels["normal_rows"] == 8
    assert changed.shape == (1, 8, 8)
    assert workspace.datasets.get(record.id) == changed


@pytest.mark.parametrize(
    ("kind", "X"),
    [
        ("image", np.zeros((3, 8))),
        ("image", np.full((3, 8, 8), np.nan)),
        ("image", np.zeros((0, 8, 8))),
        ("sequence", np.zeros(8)),
        ("sequence", np.full((3, 8), np.inf)),
        ("sequence", np.zeros((2, 3, 4, 5))),
    ],
)
def test_what_is_no_sample_is_refused_and_nothing_is_written(workspace, kind, X):
    with pytest.raises(DataError):
        workspace.datasets.add_samples(X, "X", kind)
    with pytest.raises(DataError, match="labels"):
        workspace.datasets.add_samples(np.zeros((3, 8, 8)), "X", kind, labels=[1])
    assert list((workspace.folder / "datasets").iterdir()) == []


def test_a_detector_of_another_kind_is_refused(space, image_run, series_run):
    for record, wrong in ((image_run[0], "isolation-forest"), (image_run[0], "sub-pca"), (series_run[0], "pca")):
        with pytest.raises(ParameterError, match="Take another detector"):
            space.jobs.submit(FitRequest(record.id, wrong))
    with pytest.raises(ParameterError, match="Split by order"):
        space.jobs.submit(FitRequest(series_run[0].id, "sub-pca", split=SplitRule("random")))


def test_scores_of_images_are_those_of_the_model_file(space, image_run):
    _, run = image_run
    model = load(space.runs.model_file(run.id, run.version))
    X = images()[0]
    scores = space.scores(run.id)
    np.testing.assert_array_equal(scores.score, model.anomaly_score(X))
    assert run.report["metrics"]["auroc"]["value"] > 0.95
    assert space.alert_table(run.id).n == len(scores.rows())


def test_an_image_is_explained_where_it_departs(space, image_run):
    _, run = image_run
    odd = int(np.flatnonzero(images()[1])[0])
    found = space.explain_sample(run.id, odd)
    assert isinstance(found, ImageReasons)
    assert found.score == space.scores(run.id).score[odd]
    assert max(np.unravel_index(found.heat.argmax(), found.heat.shape)) < 2
    assert "departs most at its upper left" in found.text
    assert found.rebuilt is not None
    assert found.rebuilt.shape == found.image.shape
    np.testing.assert_allclose(found.image, images()[0][odd] / 255, atol=1e-6)
    model = load(space.runs.model_file(run.id, run.version))
    apart = np.linalg.norm(model.reference_ - model.encoder_.transform(images()[0][odd : odd + 1]), axis=1)
    np.testing.assert_allclose(found.distances, np.sort(apart)[:5], rtol=1e-5)


def test_a_method_without_a_map_is_explained_by_occlusion(space, image_run):
    record, _ = image_run
    run = done(space, FitRequest(record.id, "deep-svdd", {"epochs": 3}, regime="clean"))
    odd = int(np.flatnonzero(images()[1])[0])
    found = space.explain_sample(run.id, odd)
    assert found.method.startswith("occlusion")
    # Each cell of an image of 8 x 8 is a patch: its drop by hand.
    model = load(space.runs.model_file(run.id, run.version))
    row = model.encoder_.transform(images()[0][odd : odd + 1])
    near = np.argsort(np.linalg.norm(model.reference_ - row, axis=1), kind="stable")[:5]
    changed = row.copy()
    changed[0, 9] = model.reference_[near].mean(0)[9]
    drop = found.score - model._score(changed).mean(0)[0]
    assert found.heat[1, 1] == pytest.approx(drop, rel=1e-4, abs=1e-7)


def test_a_sequence_is_compared_with_what_the_method_rebuilds(space, beat_run):
    record, run = beat_run
    found = space.explain_sample(run.id, 4)
    assert isinstance(found, SeriesReasons)
    X = space.datasets.array(record.id)
    np.testing.assert_array_equal(found.observed, X[4])
    assert found.score == space.scores(run.id).score[4]
    # The score is the squared distance to what is rebuilt, in steps that are standardised by channel and by step.
    model = load(space.runs.model_file(run.id, run.version))
    net, scale = model.replicas_.replica(0), model.encoder_.columns_[0].scale
    z = (found.observed - found.expected)[:, 0] / scale / net.scale.numpy()
    assert np.square(z).sum() == pytest.approx(found.score, rel=1e-3)


def test_a_step_of_a_series_is_expected_to_be_as_the_normal_windows_are(space, series_run):
    _, run = series_run
    scores = space.scores(run.id)
    found = space.explain_sample(run.id, 503)
    assert found.score == scores.score[503] > run.threshold
    assert found.channels == ("v",)
    assert found.first == 303
    np.testing.assert_allclose(found.observed[:, 0], series()["v"][303:], rtol=1e-6)
    assert np.abs(found.observed - found.expected)[200, 0] > 1
    assert np.nanmedian(np.abs(found.observed - found.expected)) < 0.5
    assert "step 503" in found.text


def test_no_window_reaches_over_rows_that_are_left_out_of_training():
    table = series(100).select("v")
    trains = np.ones(100, dtype=bool)
    trains[40:50] = trains[80:] = False
    part, y = steps_that_train(table, trains, np.arange(100))
    assert part.bounds.tolist() == [0, 40, 70]
    np.testing.assert_array_equal(part.values[:, 0], table["v"].to_numpy()[trains])
    np.testing.assert_array_equal(y, np.flatnonzero(trains))
    first, _ = steps_that_train(table, np.arange(100) < 30, None)
    assert first.equals(table[:30])


def test_one_drawing_is_judged_as_the_model_does(space, image_run):
    _, run = image_run
    from whitecrow.data.images import Images

    sample = np.random.default_rng(1).integers(0, 255, (1, 1, 8, 8)).astype(np.uint8)
    p_value, reasons = space.explain_given(run.id, Images(sample, "NCHW"))
    model = load(space.runs.model_file(run.id, run.version))
    assert reasons.score == model.anomaly_score(sample)[0]
    assert p_value == model.p_value(sample)[0]

"""Watched fits: what is recorded of their epochs, against scikit-learn, and that nothing else changes."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.stats import ortho_group
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from tests.workspace.conftest import small_table

from whitecrow.core.errors import FitCancelled, ParameterError
from whitecrow.data.contamination import house_split
from whitecrow.detectors.tabular.autoencoder import AutoEncoder
from whitecrow.train import Progress
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule, Workspace
from whitecrow.workspace.fitting import fit_run
from whitecrow.workspace.parts import Part
from whitecrow.workspace.watching import CLASSES, EpochWatcher, _plane, _turned

SHORT = {"epochs": 4, "validation": 0.0, "latent_dim": 3}
MIXED = SplitRule("random", share=0.5, injected=0.04)
MOST_BYTES = 32_000


def fitted(space: Workspace, detector: str = "autoencoder", parameters=None, check=None, key=None, **asked) -> str:
    """Fit in this process, as a worker does, and return the id of the run."""
    if key is None:
        dataset = space.datasets.all()[-1].id
        request = FitRequest(dataset, detector, SHORT if parameters is None else parameters, **asked)
        key = space.jobs.submit(request).id
    else:
        space.jobs.resume(key)
    space.runs.claim(1, None)
    space.runs.folder(key).mkdir(exist_ok=True)
    try:
        fit_run(space.datasets, space.runs, space.feedback, key, check=check or (lambda: None))
    except FitCancelled:
        space.runs.move(key, ("running",), "cancelled")
    return key


@pytest.fixture(scope="module")
def space(tmp_path_factory) -> Workspace:
    """A workspace with a labelled table, whose queue is not worked."""
    made = Workspace(tmp_path_factory.mktemp("watched") / "space")
    made.datasets.add(small_table(600), "Traffic", settings=DatasetSettings(label="label", ignore=("at",)))
    return made


@pytest.fixture(scope="module")
def watched(space) -> str:
    """Id of a watched run that is done."""
    return fitted(space, split=MIXED, watch=True)


def seen(space, key) -> list[dict]:
    return [one.seen for one in space.runs.epochs(key)]


def test_the_last_epoch_shows_what_the_model_that_is_kept_scores(space, watched):
    run, scores, last = space.runs.get(watched), space.scores(watched), seen(space, watched)[-1]
    assert run.summary["kept_epochs"] == [4]
    test = scores.part == Part.TEST
    y, s = scores.label[test], scores.score[test]
    assert last["auroc"] == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    assert last["average_precision"] == pytest.approx(average_precision_score(y, s), abs=1e-12)
    assert last["threshold"] == run.threshold
    assert last["rows"] == {"normal": int((y == 0).sum()), "anomaly": int((y == 1).sum()), "unknown": 0}
    above = s > run.threshold
    assert last["flagged"] == {"normal": int(above[y == 0].sum()), "anomaly": int(above[y == 1].sum()), "unknown": 0}
    fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    on_curve = {(float(f"{x:.5g}"), float(f"{t:.5g}")) for x, t in zip(fpr, tpr, strict=True)}
    assert {(x, t) for x, t in last["roc"]} <= on_curve
    assert (last["roc"][0], last["roc"][-1]) == ([0.0, 0.0], [1.0, 1.0])


def test_the_threshold_of_an_epoch_rests_on_training_scores_and_on_no_label(space, watched):
    swapped = small_table(600).with_columns(label=pl.lit("normal"))
    y, parts = np.zeros(600, np.int8), space.scores(watched).part
    table = swapped.drop("at", "label")
    detector = AutoEncoder(**SHORT, random_state=0, verbose=False)
    look = EpochWatcher(detector, table, "table", y, parts, None, 0)
    found = watch_fit(detector, look, table[np.flatnonzero(parts == Part.TRAIN)])
    assert [one["threshold"] for one in found] == [one["threshold"] for one in seen(space, watched)]
    assert found[-1]["auroc"] is None
    assert found[-1]["roc"] is None


def watch_fit(detector, look, rows) -> list[dict]:
    from whitecrow.train import monitor

    found = []
    with monitor(lambda p: found.append(look(p)) if p.networks is not None else None):
        detector.fit(rows)
    return found


def test_every_epoch_has_losses_histogram_curves_and_codes_within_bounds(space, watched):
    for one in seen(space, watched):
        assert one["why"] is None
        assert one["measured"].keys() == {"loss"}
        assert len(json.dumps(one)) < MOST_BYTES
        bins = one["histogram"]
        assert len(bins["edges"]) == len(bins["normal"]) + 1
        assert (np.diff(bins["edges"]) > 0).all()
        for name in CLASSES:
            assert sum(bins[name]) == one["rows"][name]
        assert one["codes"]["width"] == 3
        assert 0 < one["codes"]["explained"] <= 1
        assert [len(one["codes"][name]) for name in CLASSES] == [one["rows"][name] for name in CLASSES]


def test_a_watched_fit_leaves_the_same_model(space, watched):
    alone = fitted(space, split=MIXED)
    assert seen(space, alone) == [None] * 4
    np.testing.assert_array_equal(space.scores(watched).score, space.scores(alone).score)
    assert space.runs.get(watched).threshold == space.runs.get(alone).threshold


def test_anomalies_in_training_are_never_shown_and_the_rows_shown_do_not_depend_on_them(space, watched):
    none = fitted(space, split=SplitRule("random", share=0.5, injected=0.0), watch=True)
    parts, before = space.scores(watched).part, space.scores(none).part
    label = space.scores(watched).label
    assert (label[parts == Part.TRAIN] == 1).sum() > 0
    assert (label[before == Part.TRAIN] == 1).sum() == 0
    np.testing.assert_array_equal(parts == Part.TEST, before == Part.TEST)
    assert seen(space, watched)[0]["rows"] == seen(space, none)[0]["rows"]


def test_an_interrupted_fit_goes_on_with_what_was_seen_before(space, watched):
    def check() -> None:
        if len(space.runs.epochs(key)) == 2:
            raise FitCancelled("enough")

    key = space.jobs.submit(FitRequest(space.datasets.all()[-1].id, "autoencoder", SHORT, split=MIXED, watch=True)).id
    space.jobs.cancel(key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("whitecrow.workspace.fitting._WRITE_EVERY", 0.0)
        fitted(space, check=check, key=key)
    assert space.runs.get(key).state == "cancelled"
    first = space.runs.epochs(key)
    assert 0 < len(first) < 4
    fitted(space, key=key)
    epochs = space.runs.epochs(key)
    assert epochs[: len(first)] == first
    for one, other in zip(epochs, space.runs.epochs(watched), strict=True):
        assert one.loss == other.loss is not None
        for name in ("auroc", "threshold", "histogram", "roc", "measured"):
            assert one.seen[name] == other.seen[name]
        np.testing.assert_allclose(one.seen["codes"]["normal"], other.seen["codes"]["normal"], atol=1e-2)


def test_stages_follow_one_another_after_an_interruption_too(space):
    whole = fitted(space, "dagmm", {"epochs": 2, "warm_up": 2})

    def check() -> None:
        if len(space.runs.epochs(key)) == 3:
            raise FitCancelled("enough")

    request = FitRequest(space.datasets.all()[-1].id, "dagmm", {"epochs": 2, "warm_up": 2})
    key = space.jobs.submit(request).id
    space.jobs.cancel(key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("whitecrow.workspace.fitting._WRITE_EVERY", 0.0)
        fitted(space, check=check, key=key)
    fitted(space, key=key)
    assert space.runs.epochs(key) == space.runs.epochs(whole)


def test_a_method_that_scores_only_at_its_end_has_losses_and_a_reason(space):
    key = fitted(space, "deep-hybrid", {"epochs": 2}, watch=True)
    assert space.runs.get(key).state == "done"
    for one in seen(space, key):
        assert "after the training" in one["why"]
        assert one["measured"]["loss"] > 0
        assert "auroc" not in one


def test_whatever_goes_wrong_while_looking_is_a_reason_and_no_failure(space, monkeypatch):
    def broken(*_):
        raise FloatingPointError("x" * 1000)

    monkeypatch.setattr(EpochWatcher, "_codes", broken)
    key = fitted(space, watch=True)
    assert space.runs.get(key).state == "done"
    assert all(one["why"].startswith("FloatingPointError: xxx") and len(one["why"]) <= 300 for one in seen(space, key))


def test_what_has_no_epochs_cannot_be_watched(space):
    dataset = space.datasets.all()[-1].id
    with pytest.raises(ParameterError, match="no epochs to watch"):
        space.jobs.submit(FitRequest(dataset, "pca", watch=True))
    with pytest.raises(ParameterError, match="watch"):
        space.jobs.submit(FitRequest.of({"dataset": dataset, "detector": "autoencoder", "watch": "yes"}))


def test_a_request_of_before_there_was_watching_is_understood(space, watched):
    document = space.runs.get(watched).request.document()
    assert document.pop("watch") is True
    assert FitRequest.of(document).watch is False


def test_a_series_is_watched_on_steps_that_follow_one_another(space):
    settings = DatasetSettings(label="label", ignore=("service",), time="at")
    parameters = {"window": 8, "epochs": 2, "validation": 0.0}
    key = fitted(space, "usad", parameters, settings=settings, split=SplitRule("order"), watch=True)
    run, scores, last = space.runs.get(key), space.scores(key), seen(space, key)[-1]
    assert last["why"] is None
    assert last["codes"] is None
    assert sum(last["rows"].values()) == int((scores.part == Part.TEST).sum())
    assert last["threshold"] == pytest.approx(run.threshold, rel=0.05)  # windows of training reach into the test


def test_fixed_windows_are_watched_like_rows_of_a_table(tmp_path):
    space = Workspace(tmp_path / "beats")
    rng = np.random.default_rng(0)
    odd = rng.random(120) < 0.2
    beats = np.sin(np.linspace(0, 6, 16)) + 0.1 * rng.normal(size=(120, 16)) + odd[:, None] * rng.normal(size=(120, 16))
    space.datasets.add_samples(beats, "Beats", "sequence", labels=odd.astype(int))
    parameters = {"epochs": 2, "validation": 0.0, "latent_dim": 3}
    key = fitted(space, "usad", parameters, split=SplitRule("random", injected=0.0), watch=True)
    scores, last = space.scores(key), seen(space, key)[-1]
    test = scores.part == Part.TEST
    assert last["why"] is None
    assert last["auroc"] == pytest.approx(roc_auc_score(scores.label[test], scores.score[test]), abs=1e-12)
    assert last["codes"]["width"] == 3


@pytest.mark.parametrize(("epochs", "most"), [(1, 1), (200, 200), (201, 102), (100_000, 201)])
def test_a_long_fit_is_looked_at_about_two_hundred_times_and_at_its_end(epochs, most):
    looked = [k for k in range(epochs) if EpochWatcher.wanted(Progress("fit", k + 1, epochs, (k + 1) / epochs, 0.0), k)]
    assert len(looked) <= most
    assert len(looked) >= min(epochs, 100)
    assert looked[-1] == epochs - 1


def test_a_plane_is_that_of_the_principal_components():
    codes = np.random.default_rng(0).normal(size=(80, 6)) @ np.diag([5, 3, 1, 1, 0.5, 0.1])
    points, explained = _plane(codes)
    reference = PCA(2).fit(codes)
    np.testing.assert_allclose(np.abs(points), np.abs(reference.transform(codes)), atol=1e-10)
    assert explained == pytest.approx(reference.explained_variance_ratio_.sum())
    np.testing.assert_array_equal(_plane(codes[:, :2])[0], codes[:, :2])
    np.testing.assert_array_equal(_plane(codes[:, :1])[0][:, 1], np.zeros(80))


@pytest.mark.parametrize("seed", range(4))
def test_axes_that_turn_or_flip_are_turned_back(seed):
    points = np.random.default_rng(seed).normal(size=(50, 2)) * [3, 2]
    moved = points @ ortho_group.rvs(2, random_state=seed)
    np.testing.assert_allclose(_turned(moved, points), points, atol=1e-10)


@pytest.mark.parametrize(
    ("normal", "anomalous", "share"), [(100, 20, 0.29), (333, 17, 0.5), (50, 40, 0.9), (9_800, 400, 0.5)]
)
def test_the_largest_share_that_is_named_can_be_injected_and_not_one_row_more(normal, anomalous, share):
    y = [0] * normal + [1] * anomalous
    largest = SplitRule(share=share).largest_injection(normal, anomalous)
    split = house_split(y, 0, contamination=largest, train_share=share)
    pool, trained = int(0.4 * anomalous), len(split.train) - len(split.injected)
    assert len(split.injected) == pool
    with pytest.raises(ParameterError):
        house_split(y, 0, contamination=(pool + 1) / (trained + pool + 1), train_share=share)


def test_a_request_for_more_anomalies_than_there_are_is_refused_before_it_is_queued(space):
    request = FitRequest(space.datasets.all()[-1].id, "autoencoder", split=SplitRule("random", 0.5, 0.4))
    with pytest.raises(ParameterError, match="The largest share here is"):
        space.jobs.submit(request)

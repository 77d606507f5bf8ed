"""Requests to fit, and the parts that rows are in."""

import json

import numpy as np
import pytest
from tests.workspace.conftest import small_table

from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.data.labels import Labels, read_labels
from whitecrow.workspace import Budget, DatasetSettings, FitRequest, SplitRule
from whitecrow.workspace.parts import Part, part_rows, split_times

SETTINGS = DatasetSettings(label="label", ignore=("at",))


@pytest.fixture(scope="module")
def labels() -> Labels:
    return read_labels(small_table()["label"], None)


def test_a_request_survives_json(workspace):
    request = FitRequest(
        "abc", "autoencoder", {"hidden_dims": [8, 4]}, 3, "clean", SplitRule("order", 0.7, 0.1, 0.1, 0.2, "at"),
        Budget(10, 500), "mine", DatasetSettings(label="y", normal=("0",), types={"port": "category"}),
    )  # fmt: skip
    assert FitRequest.of(json.loads(json.dumps(request.document()))) == request


@pytest.mark.parametrize("document", [{}, {"dataset": "a"}, {"dataset": "a", "detector": "pca", "cheese": 1}])
def test_what_is_no_request_is_refused(document):
    with pytest.raises(ParameterError, match="no request"):
        FitRequest.of(document)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"detector": "autoencodre"}, UnknownNameError, "autoencoder"),
        ({"detector": "patchcore"}, ParameterError, "takes images"),
        ({"detector": "sub-pca"}, ParameterError, "stay in order"),
        ({"parameters": {"latent": 3}}, ParameterError, "no parameter 'latent'"),
        ({"parameters": {"contamination": 0.9}}, ParameterError, "from 0 to 0.5"),
        ({"parameters": {"random_state": 1}}, ParameterError, "its own seed"),
        ({"detector": "autoencoder", "parameters": {"checkpoint": "/tmp"}}, ParameterError, "not set here"),
        ({"parameters": {"device": "cuda"}}, ParameterError, "not set here"),
        ({"seed": -1}, ParameterError, "seed"),
        ({"regime": "dirty"}, ParameterError, "regime"),
        ({"split": SplitRule(share=1.0)}, ParameterError, "share"),
        ({"split": SplitRule("sideways")}, ParameterError, "kind"),
        ({"split": SplitRule("order", injected=0.1)}, ParameterError, "random split"),
        ({"split": SplitRule("random", 0.5, validation=0.2, test=0.2)}, ParameterError, "0.2 test"),
        ({"split": SplitRule("order", 0.8, validation=0.2)}, ParameterError, "none is left to test"),
        ({"split": SplitRule("order", 0.8, validation=0.4)}, ParameterError, "add up to 1"),
        ({"split": SplitRule("all", validation=0.2)}, ParameterError, "Every row trains"),
        ({"split": SplitRule(injected=0.01, validation=0.2)}, ParameterError, "'injected'"),
        ({"split": SplitRule(validation=0.05)}, ParameterError, "15 of 300 rows"),
        ({"split": SplitRule(validation=0.0)}, ParameterError, "validation"),
        ({"split": SplitRule("random", time="at")}, ParameterError, "Split by 'order'"),
        ({"split": SplitRule("order", time="when")}, ParameterError, "no column 'when'"),
        ({"split": SplitRule("order", time="label")}, ParameterError, "label column"),
        ({"split": SplitRule("order", time="service")}, ParameterError, "Read it as a date"),
        ({"split": SplitRule("order", time="size"), "detector": "sub-pca"}, ParameterError, "Leave 'time' out"),
        ({"budget": Budget(seconds=0)}, ParameterError, "seconds"),
        ({"regime": "labelled", "settings": DatasetSettings()}, ParameterError, "needs labels"),
        ({"detector": "devnet"}, ParameterError, "known anomalies"),
        ({"verdicts": "abc"}, ParameterError, "'labelled'"),
        ({"name": "x" * 201}, ParameterError, "200"),
    ],
)
def test_requests_that_cannot_be_carried_out_are_refused(workspace, changes, error, message):
    record = workspace.datasets.add(small_table(), "rows", settings=SETTINGS)
    request = FitRequest(**{"dataset": record.id, "detector": "pca", **changes})
    with pytest.raises(error, match=message):
        workspace.jobs.submit(request)
    assert workspace.runs.all() == []


def test_a_random_split_is_the_seeds(labels):
    one, again, other = (part_rows(FitRequest("d", "pca", seed=seed), 300, labels) for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any()
    assert (one == Part.TRAIN).sum() == 150


def test_a_split_by_order_tests_what_is_later(labels):
    parts = part_rows(FitRequest("d", "pca", split=SplitRule("order", 0.8)), 300, labels)
    assert (parts == np.repeat([Part.TRAIN, Part.TEST], [240, 60])).all()


def test_in_the_clean_regime_no_anomaly_trains(labels):
    drawn = part_rows(FitRequest("d", "pca", regime="clean"), 300, labels)
    in_order = part_rows(FitRequest("d", "pca", regime="clean", split=SplitRule("order")), 300, labels)
    for parts in (drawn, in_order):
        assert (labels.y[parts == Part.TRAIN] == 0).all()
    assert not (drawn == Part.LEFT_OUT).any()
    assert (labels.y[in_order == Part.LEFT_OUT] == 1).all()
    assert (np.flatnonzero(in_order == Part.LEFT_OUT) < 150).all()


def test_injected_anomalies_have_their_share_and_leave_the_test_as_it_is(labels):
    parts = {
        share: part_rows(FitRequest("d", "pca", split=SplitRule(injected=share)), 300, labels) for share in (0.0, 0.05)
    }
    for share, part in parts.items():
        assert labels.y[part == Part.TRAIN].mean() == pytest.approx(share, abs=0.01)
    assert ((parts[0.0] == Part.TEST) == (parts[0.05] == Part.TEST)).all()


def test_rows_without_a_label_are_neither_normal_nor_injected():
    column = small_table()["label"].to_frame().with_row_index().with_columns(
        label=small_table()["label"].scatter(range(0, 300, 3), None)
    )["label"]  # fmt: skip
    labels = read_labels(column, None)
    parts = part_rows(FitRequest("d", "pca", split=SplitRule(injected=0.02)), 300, labels)
    assert (parts[labels.y == -1] == Part.LEFT_OUT).all()
    clean = part_rows(FitRequest("d", "pca", regime="clean"), 300, labels)
    assert (labels.y[clean == Part.TRAIN] == 0).all()


def test_two_rows_are_the_fewest_to_train_on(labels):
    with pytest.raises(DataError, match="Fewer than 2"):
        part_rows(FitRequest("d", "pca", split=SplitRule("order", 0.001)), 300, labels)


def test_rows_for_the_threshold_leave_the_training_rows_as_they_are(labels):
    plain = part_rows(FitRequest("d", "pca", seed=4), 300, labels)
    assert sorted(np.random.default_rng(4).permutation(300)[:150]) == np.flatnonzero(plain == Part.TRAIN).tolist()
    split = SplitRule(validation=0.2, test=0.3)
    parts = part_rows(FitRequest("d", "pca", seed=4, split=split), 300, labels)
    assert ((parts == Part.TRAIN) == (plain == Part.TRAIN)).all()
    assert np.bincount(parts).tolist() == [150, 90, 0, 60]


def test_a_split_by_time_trains_on_the_oldest_rows_and_tests_the_newest(labels):
    table = small_table().sample(fraction=1, shuffle=True, seed=7)
    times = split_times(table, "at")
    split = SplitRule("order", 0.6, validation=0.1, time="at")
    parts = part_rows(FitRequest("d", "pca", split=split), 300, labels, times)
    train, validation, test = (times[parts == part] for part in (Part.TRAIN, Part.VALIDATION, Part.TEST))
    assert [len(train), len(validation), len(test)] == [180, 30, 90]
    assert train.max() < validation.min() <= validation.max() < test.min()


def test_of_equal_times_the_first_row_is_the_older(labels):
    parts = part_rows(FitRequest("d", "pca", split=SplitRule("order", 0.8, time="at")), 300, labels, np.zeros(300))
    assert (parts == np.repeat([Part.TRAIN, Part.TEST], [240, 60])).all()


def test_rows_without_a_time_cannot_be_split_by_it():
    table = small_table().with_columns(at=small_table()["at"].scatter([3, 4], None), size=np.nan)
    with pytest.raises(ParameterError, match="2 of 300 rows have no time"):
        split_times(table, "at")
    with pytest.raises(ParameterError, match="300 of 300"):
        split_times(table, "size")


def test_in_the_clean_regime_no_known_anomaly_sets_the_threshold(labels):
    drawn, in_order = (
        part_rows(FitRequest("d", "pca", regime="clean", split=SplitRule(kind, 0.5, validation=0.2)), 300, labels)
        for kind in ("random", "order")
    )
    for parts in (drawn, in_order):
        assert (parts == Part.VALIDATION).sum() > 40
        assert (labels.y[(parts == Part.TRAIN) | (parts == Part.VALIDATION)] == 0).all()
    assert not (drawn == Part.LEFT_OUT).any()
    assert (np.flatnonzero(in_order == Part.LEFT_OUT) < 210).all()


def test_a_threshold_on_few_rows_without_known_anomalies_is_refused():
    labels = read_labels(small_table()["label"].scatter(range(150, 180), "scan"), None)
    split = SplitRule("order", 0.5, validation=0.1)
    with pytest.raises(DataError, match="on 0 rows that are not known to be anomalous"):
        part_rows(FitRequest("d", "pca", regime="labelled", split=split), 300, labels)


def test_a_test_that_is_asked_for_has_rows(labels):
    with pytest.raises(DataError, match="No row would be tested"):
        part_rows(FitRequest("d", "pca", split=SplitRule("order", 0.899, validation=0.1)), 300, labels)

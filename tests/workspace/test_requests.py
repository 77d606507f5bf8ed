"""Requests to fit, and the parts that rows are in."""

import json

import numpy as np
import pytest
from tests.workspace.conftest import small_table

from whitecrow.core.errors import DataError, ParameterError, UnknownNameError
from whitecrow.data.labels import Labels, read_labels
from whitecrow.workspace import Budget, DatasetSettings, FitRequest, SplitRule
from whitecrow.workspace.parts import Part, part_rows

SETTINGS = DatasetSettings(label="label", ignore=("at",))


@pytest.fixture(scope="module")
def labels() -> Labels:
    return read_labels(small_table()["label"], None)


def test_a_request_survives_json(workspace):
    request = FitRequest(
        "abc", "autoencoder", {"hidden_dims": [8, 4]}, 3, "clean", SplitRule("random", 0.7, 0.1), Budget(10, 500),
        "mine", DatasetSettings(label="y", normal=("0",), types={"port": "category"}),
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

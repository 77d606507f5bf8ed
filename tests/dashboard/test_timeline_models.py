"""Lanes by run, counted anew from the scores of each run."""

import numpy as np
import pytest
from tests.workspace.conftest import small_table, wait

from whitecrow.dashboard.timeline_data import timeline
from whitecrow.dashboard.timeline_models import MOST_MODELS, model_lanes, runs_alike
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule, Workspace
from whitecrow.workspace.parts import Part


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    made = Workspace(tmp_path_factory.mktemp("lanes") / "space")
    made.jobs.start()
    yield made
    made.jobs.close()


@pytest.fixture(scope="module")
def runs(space):
    """Runs on one data set, two of which trained on the same rows; the last reads its time and so another order."""
    settings = DatasetSettings(label="label", ignore=("at",))
    dataset = space.datasets.add(small_table(), "Traffic", settings=settings).id

    def fit(detector, split, **parameters):
        return wait(space, space.jobs.submit(FitRequest(dataset, detector, parameters, split=split)).id)

    found = [
        fit("pca", SplitRule("order")),
        fit("knn", SplitRule("order")),
        fit("isolation-forest", SplitRule("random"), n_estimators=20),
    ]
    space.datasets.change(dataset, settings=DatasetSettings(label="label", time="at"))
    other = fit("pca", SplitRule("order"))
    assert all(run.state == "done" for run in [*found, other])
    return [*found, other]


def test_runs_that_read_the_rows_in_another_order_have_no_lane(space, runs):
    assert [run.id for run in runs_alike(space, runs[0])] == [runs[0].id, runs[2].id, runs[1].id]
    assert [run.id for run in runs_alike(space, runs[3])] == [runs[3].id]


@pytest.mark.parametrize("window", [None, (170, 260)])
def test_each_lane_is_of_its_own_scores_threshold_and_training_rows(space, runs, window):
    line = timeline(space, runs[0].id, None)
    own = line.buckets(3.0, window)
    lanes = model_lanes(space, runs[:3], line, window, {runs[0].id: 3.0})
    assert [one.run.id for one in lanes] == [run.id for run in runs[:3]]
    assert [one.threshold for one in lanes] == [3.0, runs[1].threshold, runs[2].threshold]
    assert np.array_equal(lanes[0].lane.max_score, own.overall.max_score, equal_nan=True)
    for one in lanes:
        scores = space.scores(one.run.id)
        reference = scores.score[scores.part == Part.TRAIN]
        seen = 0
        for k, ends in enumerate(own.ends):
            if ends is None:
                assert one.levels[k] == -1
                continue
            rows = line.rows[(line.rows >= ends[0]) & (line.rows <= ends[1])]
            top = scores.score[rows].max()
            assert one.lane.max_score[k] == top
            assert one.lane.flagged[k] == (scores.score[rows] > one.threshold).sum()
            assert one.percentile[k] == pytest.approx(100 * (reference < top).mean())
            assert (one.levels[k] == 4) == (top > reference.max())
            seen += (scores.part[rows] == Part.TRAIN).sum()
        assert one.trained == seen
    assert (lanes[0].trained, lanes[1].trained) == (0, 0)
    assert lanes[2].trained > 0


def test_there_are_no_more_lanes_than_can_be_told_apart(space, runs):
    line = timeline(space, runs[0].id, None)
    assert len(model_lanes(space, [runs[0]] * 20, line)) == MOST_MODELS

"""Curves of a window of rows over HTTP."""

import numpy as np
import pytest


@pytest.mark.parametrize("window", [(200, 260), (0, 220), (290, 10_000)])
def test_curves_of_a_window_count_its_rows_alone(client, space, run, window):
    scores = space.scores(run)
    rows = scores.rows()
    rows = rows[(rows >= window[0]) & (rows <= window[1])]
    params = {"first": window[0], "last": window[1], "max_points": 1_000_000}
    found = client.get(f"/api/runs/{run}/curves", params=params).json()
    assert found["rows"] == len(rows)
    counts = found["cumulative"]
    assert counts["scores"] == np.unique(scores.score[rows]).tolist()
    for name, kind in (("anomalies", 1), ("normals", 0), ("unknown", -1)):
        mine = scores.score[rows][scores.label[rows] == kind]
        assert counts[name] == [len(mine), *((mine > score).sum() for score in counts["scores"])]
    assert sum(sum(found["histogram"][name]) for name in ("normals", "anomalies", "unknown")) == len(rows)


def test_one_end_of_a_window_is_enough(client, space, run):
    rows = space.scores(run).rows()
    for params, n in (({"first": 250}, (rows >= 250).sum()), ({"last": 250}, (rows <= 250).sum())):
        assert client.get(f"/api/runs/{run}/curves", params=params).json()["rows"] == n


def test_a_window_without_rows_or_that_is_none_is_refused(client, run, problem):
    problem(client.get(f"/api/runs/{run}/curves", params={"first": 5000}), 422)
    problem(client.get(f"/api/runs/{run}/curves", params={"first": 9, "last": 3}), 422)
    problem(client.get(f"/api/runs/{run}/curves", params={"first": -1}), 422)

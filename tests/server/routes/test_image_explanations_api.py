"""Explanations of images over HTTP: where the most anomalous patch is, and which normal patches are nearest."""

import numpy as np
import pytest
from tests.workspace.conftest import wait
from tests.workspace.test_samples import images

from whitecrow.workspace import FitRequest
from whitecrow.workspace.parts import Part


@pytest.fixture(scope="module", params=["pca", "deep-svdd"])
def squares(space, client, request):
    """Id of a run on small images whose anomalies have a bright corner, and the numbers of those."""
    X, y = images()
    dataset = space.datasets.add_samples(X, "Squares", "image", labels=y).id
    parameters = {"pca": {"n_components": 5}, "deep-svdd": {"epochs": 2}}[request.param]
    wish = FitRequest(dataset, request.param, parameters, regime="clean")
    run = wait(space, space.jobs.submit(wish).id)
    assert run.state == "done", run.error
    yield run, np.flatnonzero(y)
    space.runs.remove(run.id)
    space.datasets.remove(dataset)


def test_the_patch_is_on_the_bright_corner_and_its_neighbours_trained(client, space, squares):
    run, odd = squares
    rows = odd[:2].tolist()
    answer = client.post(f"/api/runs/{run.id}/explain", json={"rows": rows, "n_neighbours": 4})
    assert answer.status_code == 200, answer.text
    found, scores = answer.json(), space.scores(run.id)
    assert found["method"] == {"pca": "map", "deep-svdd": "occlusion"}[run.detector]
    for row, one in zip(rows, found["rows"], strict=True):
        assert (one["row"], one["score"]) == (row, scores.score[row])
        assert (one["values"], one["reasons"]) == ({}, [])
        patch, why = one["patch"], space.explain_sample(run.id, row, n_neighbours=4)
        assert (patch["height"], patch["width"]) == (3, 3)
        if run.detector == "pca":
            assert (patch["top"], patch["left"]) == (0, 0)
        assert patch["score"] == pytest.approx(why.heat[patch["top"] :, patch["left"] :][:3, :3].mean(), rel=1e-6)
        assert [near["distance"] for near in patch["neighbours"]] == [p.distance for p in why.patch.neighbours]
        assert [near["distance"] for near in one["neighbours"]] == why.distances.tolist()
        for near in [*patch["neighbours"], *one["neighbours"]]:
            assert scores.part[near["row"]] == Part.TRAIN
            assert scores.label[near["row"]] == 0


def test_an_answer_takes_a_bounded_time(client, squares, problem):
    run, _ = squares
    problem(client.post(f"/api/runs/{run.id}/explain", json={"rows": list(range(6))}), 422)
    problem(client.post(f"/api/runs/{run.id}/explain", json={"rows": [60]}), 422)

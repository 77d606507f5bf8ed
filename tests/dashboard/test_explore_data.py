"""What the Explore screen is made of, without a browser: its state, its curves, its rows."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from whitecrow.dashboard.explore_curves import cost_rows, curve_data
from whitecrow.dashboard.explore_state import MEANINGS, ExploreState
from whitecrow.metrics import Costs
from whitecrow.metrics.alert_table import alert_table


@pytest.fixture(scope="module")
def scored():
    """Labels, some of them unknown, and scores of 120 rows with ties."""
    rng = np.random.default_rng(3)
    label = rng.choice([1, 0, -1], 120, p=[0.2, 0.6, 0.2]).astype(np.int8)
    return label, np.round(rng.normal(size=120) + (label == 1), 1)


@pytest.mark.parametrize("meaning", MEANINGS)
def test_the_meaning_survives_the_address(meaning):
    state = ExploreState(threshold=0.1 + 0.2, costs=Costs(3.0, 0.1), base_rate=0.01, part="train", meaning=meaning)
    assert ExploreState.of(state.query()) == state


@pytest.mark.parametrize("query", ["meaning=<b>", "meaning=", "?meaning=score", ""])
def test_an_unknown_meaning_is_the_score(query):
    assert ExploreState.of(query) == ExploreState()
    assert ExploreState.of(query).query() == ""


def test_links_to_other_screens_leave_the_meaning_out():
    state = ExploreState(runs=("a" * 12,), meaning="cost")
    assert state.only("runs").query() == f"run={'a' * 12}"


def test_curves_are_those_of_scikit_learn_on_the_rows_with_a_label(scored):
    label, scores = scored
    curves = curve_data(alert_table(scores, label), label, scores, 0.5)
    assert curves.roc is not None
    assert curves.pr is not None
    known = label >= 0
    fpr, tpr, _ = roc_curve(label[known], scores[known], drop_intermediate=False)
    ours = {tuple(np.round(point, 12)) for point in curves.roc[:, :2]}
    assert {tuple(np.round(point, 12)) for point in np.column_stack([fpr, tpr])} == ours
    precision, recall, _ = precision_recall_curve(label[known], scores[known])
    wanted = {tuple(np.round(point, 12)) for point in np.column_stack([recall, precision])}
    assert wanted == {tuple(np.round(point, 12)) for point in curves.pr[:, :2]}


def test_each_threshold_of_a_curve_flags_what_the_curve_says(scored):
    label, scores = scored
    curves = curve_data(alert_table(scores, label), label, scores, 0.5)
    assert curves.roc is not None
    for fpr, recall, threshold in curves.roc:
        assert fpr == np.mean(scores[label == 0] > threshold)
        assert recall == np.mean(scores[label == 1] > threshold)


def test_the_histogram_counts_every_row_in_its_class(scored):
    label, scores = scored
    curves = curve_data(alert_table(scores, label), label, scores, 0.5)
    assert {kind: counts.sum() for kind, counts in curves.counts.items()} == {k: (label == k).sum() for k in (1, 0, -1)}
    steps = curves.steps(1)
    assert sum(y for _, y in steps[:-1]) == pytest.approx(100)
    assert [x for x, _ in steps] == curves.edges.tolist()


def test_without_labels_there_is_a_histogram_and_no_curve(scored):
    _, scores = scored
    unknown = np.full(len(scores), -1, dtype=np.int8)
    curves = curve_data(alert_table(scores, unknown), unknown, scores, 0.5)
    assert curves.roc is None
    assert curves.pr is None
    assert curves.counts[-1].sum() == len(scores)


def test_the_table_of_costs_holds_the_minimum_however_long_the_curve():
    rng = np.random.default_rng(0)
    label = (rng.random(5000) < 0.05).astype(np.int8)
    table = alert_table(rng.normal(size=5000) + 2 * label, label)
    rows = cost_rows(table, Costs(20.0, 1.0))
    curve = table.cost_curve(Costs(20.0, 1.0))
    assert len(rows) < 400
    assert min(cost for _, cost in rows) == curve.costs.min()
    assert (rows[0][1], rows[-1][1]) == (curve.costs[0], curve.costs[-1])


def test_rows_of_alerts_come_by_score_and_in_the_order_of_any_column(filled, console):
    from whitecrow.dashboard.alert_rows import AlertRows, alert_columns

    run = filled.runs[2]
    scores = console.workspace.scores(run.id)
    rows = scores.rows()
    source = AlertRows(console.workspace, run.id, rows)
    first, total = source.rows(0, 5, None, descending=False)
    assert total == len(rows)
    assert [one[1] for one in first] == sorted(scores.score[rows], reverse=True)[:5]
    assert [scores.score[one[0]] for one in first] == [one[1] for one in first]
    values = console.workspace.rows(run.id)
    place = next(k for k, (name, _) in enumerate(source.columns) if name == "duration")
    cells, _ = source.rows(3, 9, place, descending=True)
    assert [one[place] for one in cells] == values["duration"][rows.tolist()].sort(descending=True)[3:9].to_list()
    for one in cells:
        assert one[place] == values["duration"][one[0]]
    names = {one["colId"] for one in alert_columns(source)["columnDefs"]}
    assert names == {f"c{k}" for k in range(len(source.columns))} | {"flag"}
    assert isinstance(values, pl.DataFrame)

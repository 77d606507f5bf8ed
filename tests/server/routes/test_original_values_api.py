"""What REST and the record drawer show of a row, of its neighbours and of what is usual is what the table holds."""

import numpy as np
import pytest
from tests.explain.test_original_units import NUMBERS, magnitudes, same, told
from tests.workspace.conftest import wait

from whitecrow.workspace import FitRequest, SplitRule

ROWS = (3, 250, 399)


def read(text: str) -> float:
    """Return the number that a person reads."""
    return float(text.replace(",", ""))


@pytest.fixture(scope="module")
def mixed(space, client) -> str:
    """Id of a run on columns of every kind, whose far values are clipped."""
    dataset = space.datasets.add(magnitudes(), "Magnitudes").id
    request = FitRequest(dataset, "pca", {"scaling": "robust", "clip": 3.0}, split=SplitRule("order"))
    yield wait(space, space.jobs.submit(request).id).id
    for run in space.runs.all():
        if run.dataset == dataset:
            space.runs.remove(run.id)
    space.datasets.remove(dataset)


@pytest.fixture(scope="module")
def answered(client, mixed):
    answer = client.post(f"/api/runs/{mixed}/explain", json={"rows": ROWS, "n_neighbours": 5})
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def test_an_answer_holds_the_values_of_the_table(answered):
    table = magnitudes()
    for one in answered:
        shown = [*one["neighbours"], one]
        assert all(near["row"] < 200 for near in one["neighbours"])  # the rows that trained
        for name in NUMBERS:
            values = told(table[name])
            same([each["values"][name] for each in shown], [values[each["row"]] for each in shown])
        for name in ("up", "host", "level"):
            assert [each["values"][name] for each in shown] == [table[name][each["row"]] for each in shown]
        for name in ("at", "day"):
            assert [each["values"][name] for each in shown] == [table[name][each["row"]].isoformat() for each in shown]


def test_the_ranges_of_an_answer_are_values_of_the_table(answered):
    table = magnitudes()[:200]
    for one in answered:
        for reason in one["reasons"]:
            values = np.array(told(table[reason["column"]])) if reason["column"] in NUMBERS else None
            assert (reason["typical_range"] is None) == (values is None)
            for end in [] if values is None else [*reason["typical_range"], *(reason["alike_range"] or ())]:
                values = values.astype(np.float64)
                assert end == pytest.approx(values[np.nanargmin(np.abs(values - end))], rel=1e-6, abs=0)


@pytest.mark.parametrize("row", ROWS)
def test_the_drawer_shows_what_the_table_holds(space, mixed, row):
    pytest.importorskip("nicegui", reason="the serve extra is not installed")
    from whitecrow.dashboard.formats import NOTHING
    from whitecrow.dashboard.record_facts import record_facts

    table, found = magnitudes(), record_facts(space, mixed, row)
    why = {reason.column: reason for reason in space.explain(mixed, [row]).reasons(0)}
    assert len(found.neighbours) == 5
    for place, column in enumerate(found.columns):
        values = told(table[column.name])
        shown = [column.near, *(near.values[place] for near in found.neighbours)]
        held = [values[row], *(values[near.row] for near in found.neighbours)]
        for text, value in zip(shown, held, strict=True):
            if value is None:
                assert text == NOTHING
            elif column.name in NUMBERS:
                assert read(text) == pytest.approx(value, rel=1e-6, abs=0)
            else:
                assert text == {True: "true", False: "false"}.get(value, str(value))
        assert column.shown == ("missing" if column.near == NOTHING else column.near)
        for text, ends in (
            (column.typical, why[column.name].typical_range),
            (column.alike, why[column.name].alike_range),
        ):
            if ends is not None:
                assert [read(end) for end in text.split(" to ")] == pytest.approx(sorted(set(ends)), rel=1e-6, abs=0)

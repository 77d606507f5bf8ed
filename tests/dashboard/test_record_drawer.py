"""The record drawer: what it says of a row, and how it behaves as a dialog."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.dashboard.test_explore import explore, partly  # noqa: F401 - fixtures

from whitecrow.core.errors import DataError
from whitecrow.dashboard.record_facts import record_facts


@pytest.fixture
def pca(filled):
    return next(run for run in filled.runs if run.detector == "pca")


def test_the_place_of_a_score_is_that_among_the_test_rows(pca, console):
    scores = console.workspace.scores(pca.id)
    tested = scores.rows()
    row = int(tested[np.argsort(scores.score[tested])[-30]])
    found = record_facts(console.workspace, pca.id, row)
    assert found.score == scores.score[row]
    assert found.margin == scores.score[row] - pca.threshold
    assert found.flag == (scores.score[row] > pca.threshold)
    assert found.percentile == 100 * np.mean(scores.score[tested] < scores.score[row])
    assert found.p_value == scores.p_value[row]
    assert found.label == scores.label[row]
    assert record_facts(console.workspace, pca.id, row, found.score).flag is False


def test_contributions_values_and_neighbours_are_those_of_the_explanation(pca, console):
    row = int(console.workspace.scores(pca.id).rows()[7])
    why = console.workspace.explain(pca.id, [row])
    found = record_facts(console.workspace, pca.id, row)
    assert found.method == why.method
    assert found.sentence == why.text(0) + "."
    by_name = {one.name: one for one in found.columns}
    assert list(by_name) == sorted(why.columns, key=lambda name: -by_name[name].contribution)
    for name, contribution in zip(why.columns, why.contributions[0], strict=True):
        assert by_name[name].contribution == contribution
    for reason in why.reasons(0):
        # Of numbers the ends are told unrounded.
        if (ends := reason.typical_range) is None:
            assert by_name[reason.column].typical == reason.typical
        else:
            told = [float(end.replace(",", "")) for end in by_name[reason.column].typical.split(" to ")]
            assert told == pytest.approx(sorted(set(ends)), rel=1e-6)
    assert [one.distance for one in found.neighbours] == why.neighbour_distance[0].tolist()
    assert len(found.neighbours) == 5
    # Values are in original units.
    values = console.workspace.rows(pca.id, [row])
    assert float(by_name["duration"].near) == pytest.approx(values["duration"][0], rel=1e-5)
    assert by_name["bytes_in"].near.replace(",", "") == str(values["bytes_in"][0])
    place = list(by_name).index("protocol")
    assert [one.values[place] for one in found.neighbours] == why.neighbours(0)["protocol"].to_list()


def test_a_row_that_is_not_there_is_refused(pca, console):
    with pytest.raises(DataError, match="no row 99999; the data set has rows from 0 to"):
        record_facts(console.workspace, pca.id, 99_999)


def test_the_verdict_that_holds_is_told(pca, console):
    scores = console.workspace.scores(pca.id)
    console.workspace.feedback.give(pca.id, [11], "dismissed", scores=scores.score, note="<u>mine</u>", reviewer="Ada")
    try:
        verdict = record_facts(console.workspace, pca.id, 11).verdict
        assert verdict is not None
        assert (verdict.verdict, verdict.note, verdict.reviewer) == ("dismissed", "<u>mine</u>", "Ada")
    finally:
        console.workspace.feedback.undo(pca.id)


def test_the_drawer_is_restored_from_the_address_and_keeps_the_focus_until_escape(pca, console, visit):
    scores = console.workspace.scores(pca.id)
    row = int(scores.rows()[3])
    page = explore(visit, pca, f"&record={row}")
    dialog = page.get_by_role("dialog", name=f"Row {row}")
    why = console.workspace.explain(pca.id, [row])
    expect(dialog.locator("[data-wc=sentence]")).to_have_text(f"{why.text(0)}.")
    expect(dialog.get_by_text("Method: occlusion")).to_be_visible()
    expect(dialog.get_by_role("button", name="Close the row")).to_be_focused()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('[role=dialog]') !== null")
    dialog.get_by_text("Show as table").click()
    numbers = dialog.get_by_role("region", name="Numbers behind the chart").locator("tbody tr")
    assert numbers.count() == len(why.columns)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.wait_for_url(re.compile(r"^(?!.*record=)"))
    page.reload()
    page.locator("[data-ready=true]").wait_for(state="attached")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_back_closes_the_drawer_and_forward_opens_it(pca, visit):
    page = explore(visit, pca)
    page.get_by_role("region", name="Alerts").locator("[role=gridcell][col-id=c1]").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Nearest normal rows")).to_be_visible()
    page.go_back()
    expect(dialog).to_have_count(0)
    page.go_forward()
    expect(dialog.get_by_role("heading", name="Nearest normal rows")).to_be_visible()


def test_the_drawer_says_what_it_cannot_show(pca, visit):
    page = explore(visit, pca, "&record=77777")
    dialog = page.get_by_role("dialog", name="Row 77777")
    expect(dialog.locator(".wc-warning")).to_contain_text("There is no row 77777")


def test_markup_in_names_and_cells_is_text(partly, visit):  # noqa: F811 - a fixture
    page = explore(visit, partly[0], "&record=5")
    dialog = page.get_by_role("dialog", name="Row 5")
    expect(dialog.get_by_role("heading", name="Nearest normal rows")).to_be_visible()
    expect(dialog.get_by_role("rowheader", name="<img src=x onerror=window.hacked=1>").first).to_be_visible()
    expect(dialog.get_by_text(re.compile(r"<script>window.hacked=1</script>|\{\{7\*7\}\}")).first).to_be_visible()
    assert page.evaluate("window.hacked") is None

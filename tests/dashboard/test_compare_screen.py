"""The screen Compare as a person uses it: figures recomputed from the exported scores, lists, refusals, access."""

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.dashboard.accessibility import serious

from whitecrow.dashboard.run_parts import run_name
from whitecrow.workspace import SplitRule


def compared(visit, runs, **options):
    """Open the screen for runs and wait until its figures are there."""
    page = visit("/compare?" + "&".join(f"run={run.id}" for run in runs), **options)
    page.locator(".wc-main[aria-busy=false]").wait_for()
    return page


def cells(page, table, row):
    """Return the texts of a row, which its head names, of a table by its label."""
    found = page.get_by_role("region", name=table, exact=True).locator("tbody tr")
    return found.filter(has=page.get_by_role("rowheader", name=row, exact=True)).locator("td").all_inner_texts()


@pytest.fixture
def seeds(filled, console):
    """Two runs of one detector that differ in the seed, the second a fit of this test's."""
    first = next(run for run in filled.runs if run.detector == "isolation-forest")
    other = console.workspace.jobs.submit(replace(first.request, seed=1))
    console.wait()
    yield first, console.workspace.runs.get(other.id)
    console.workspace.runs.remove(other.id)


def test_figures_are_those_of_the_exported_scores(filled, console, visit):
    runs = filled.runs
    page = compared(visit, runs)
    for run in runs:
        scores = console.workspace.scores(run.id)
        rows = scores.rows("test")
        label, score = scores.label[rows], scores.score[rows]
        shown = cells(page, "Figures of merit", run_name(run))
        assert shown[0].split()[0] == f"{roc_auc_score(label, score):.3f}"
        assert shown[1].split()[0] == f"{average_precision_score(label, score):.3f}"
        assert shown[5].split()[0] == f"{(score > run.threshold)[label == 0].mean():.3f}"
        assert "to" in shown[0]
    heat = cells(page, "Spearman's rank correlation", run_name(runs[0]))
    assert heat[0] == "1.00"
    expect(page.get_by_text("is no ranking of methods")).to_be_visible()
    expect(page.get_by_role("region", name="Over seeds")).to_have_count(0)
    for name in ("ROC curves", "Precision-recall curves", "Expected cost", f"{run_name(runs[3])}. Share of each class"):
        expect(page.get_by_role("img", name=name)).to_have_count(1)


def test_what_one_flags_and_another_does_not_is_a_list_whose_rows_open(filled, console, visit):
    one, other = filled.runs[0], filled.runs[2]
    page = compared(visit, (one, other))
    first, second = (console.workspace.scores(run.id) for run in (one, other))
    rows = first.rows("test")
    parted = rows[(first.score > one.threshold)[rows] & (second.score <= other.threshold)[rows]]
    listed = page.get_by_role("region", name="Records they disagree about")
    shown = [int(text.removeprefix("Row ")) for text in listed.get_by_role("button").all_inner_texts()]
    assert len(shown) == min(25, len(parted))
    assert set(shown) <= set(parted.tolist())
    page.get_by_role("button", name="The other way round").click()
    page.wait_for_url(f"**/compare?run={other.id}&run={one.id}")
    back = rows[(second.score > other.threshold)[rows] & (first.score <= one.threshold)[rows]]
    expect(listed.get_by_role("button")).to_have_count(min(25, len(back)))
    row = int(listed.get_by_role("button").first.inner_text().removeprefix("Row "))
    listed.get_by_role("button").first.press("Enter")
    expect(page.get_by_role("dialog", name=f"Row {row}")).to_be_visible()
    page.wait_for_url(f"**record={row}*")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_runs_of_other_splits_are_refused_with_the_reason_and_taken_out_again(filled, console, visit):
    other = console.workspace.jobs.submit(replace(filled.runs[2].request, split=SplitRule("order", 0.7)))
    console.wait()
    page = compared(visit, (filled.runs[0], filled.runs[2]))
    page.get_by_text("Choose runs.").click()
    page.get_by_role("checkbox", name=f"Compare run {other.number}").press("Space")
    expect(page.get_by_role("heading", name="These runs cannot be compared")).to_be_visible()
    expect(page.get_by_text("their splits are order (0.5 trains) and order (0.7 trains)").last).to_be_visible()
    expect(page.get_by_role("heading", name="Figures", exact=True)).to_have_count(0)
    page.get_by_role("checkbox", name=f"Compare run {other.number}").press("Space")
    expect(page.get_by_role("heading", name="Figures", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="These runs cannot be compared")).to_be_visible()
    console.workspace.runs.remove(other.id)


def test_seeds_of_one_method_are_shown_as_mean_and_deviation(seeds, console, visit):
    page = compared(visit, seeds)
    rows = console.workspace.scores(seeds[0].id).rows("test")
    found = [console.workspace.scores(run.id) for run in seeds]
    values = [roc_auc_score(one.label[rows], one.score[rows]) for one in found]
    shown = page.get_by_role("region", name="Over seeds").locator("tbody td").all_inner_texts()
    assert shown[:2] == ["2", f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"]
    expect(page.get_by_text("is no ranking of methods")).to_have_count(0)


def test_costs_are_edited_and_kept_in_the_address(filled, console, visit):
    run = filled.runs[0]
    page = compared(visit, filled.runs[:2])
    page.get_by_role("spinbutton", name="Cost of a miss").fill("40")
    page.get_by_role("spinbutton", name="Cost of a false alarm").fill("2")
    page.get_by_role("button", name="Use these costs").click()
    scores = console.workspace.scores(run.id)
    rows = scores.rows("test")
    label, flagged = scores.label[rows], scores.score[rows] > run.threshold
    cost = (40 * (label == 1)[~flagged].sum() + 2 * (label == 0)[flagged].sum()) / len(rows)
    page.wait_for_url("**miss=40.0*")
    expect(page.get_by_role("region", name="Cost per record").get_by_text(f"{cost:.4f}").first).to_be_visible()
    again = visit(page.url)
    again.locator(".wc-main[aria-busy=false]").wait_for()
    assert cells(again, "Cost per record", run_name(run)) == cells(page, "Cost per record", run_name(run))


def test_a_name_with_markup_is_shown_as_text(filled, console, visit):
    hostile = "<img src=x onerror=window.hacked=1>"
    run = filled.runs[1]
    console.workspace.runs.rename(run.id, hostile)
    page = compared(visit, filled.runs[:2])
    expect(page.get_by_role("rowheader", name=f"{run.number} · {hostile}").first).to_be_visible()
    assert page.evaluate("window.hacked") is None
    console.workspace.runs.rename(run.id, run.name)


def test_axe_finds_nothing_serious_once_all_figures_are_there(filled, visit):
    page = compared(visit, filled.runs[:2])
    assert serious(page) == []
    for width in (640, 320):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width

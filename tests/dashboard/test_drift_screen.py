"""The Drift screen in a browser: what it says is computed anew from the rows."""

import re

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect
from tests.dashboard.accessibility import serious

from whitecrow.calibrate import Quantile
from whitecrow.dashboard.drift_badge import VERDICTS
from whitecrow.dashboard.formats import value
from whitecrow.workspace.drift_study import drift_study

HOSTILE = "<img src=x onerror=window.hacked=1>"


def opened(visit, run, query="", **options):
    """Open the screen for a run, and wait for its verdict."""
    page = visit(f"/drift?run={run.id}{query}", **options)
    page.get_by_role("region", name="Verdict").wait_for()
    return page


@pytest.fixture
def forest(filled):
    return next(run for run in filled.runs if run.detector == "isolation-forest")


@pytest.fixture(scope="module")
def moved(console):
    """Return a function that adds the demo's rows with a column far off and markup in values, once."""
    made = []

    def of(run):
        if not made:
            table = console.workspace.datasets.table(run.dataset)
            table = table.with_columns(
                pl.col("bytes_in") * 50 + 1e6, service=pl.when(pl.int_range(len(table)) % 3 == 0).then(pl.lit(HOSTILE))
                .otherwise(pl.col("service").cast(pl.String)),
            )  # fmt: skip
            settings = console.workspace.runs.get(run.id).request.settings
            made.append(console.workspace.datasets.add(table, f"Moved {HOSTILE}", settings=settings))
        return made[0]

    return of


def test_the_overview_says_whether_the_rows_that_no_training_saw_have_drifted(forest, console, visit):
    page = visit(f"/?run={forest.id}")
    badge = page.get_by_role("group", name="Drift")
    report = drift_study(console.workspace, forest.id, forest.dataset).report
    moved = [column.drifted for column in report.columns if column.p_value is not None]
    expect(badge).to_contain_text(f"{VERDICTS[report.verdict.verdict]}. {sum(moved)} of {len(moved)} columns drifted")
    badge.get_by_role("link", name="Look at drift").click()
    expect(page.get_by_role("region", name="Verdict")).to_contain_text(report.verdict.reason)


def test_the_runs_own_test_rows_are_compared_and_drifted_columns_come_first(forest, console, visit):
    page = opened(visit, forest)
    study = drift_study(console.workspace, forest.id, forest.dataset)
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text(study.report.verdict.reason)
    moved = sum(column.drifted for column in study.report.columns)
    expect(verdict).to_contain_text(f"{moved} of {sum(c.p_value is not None for c in study.report.columns)}")
    expect(verdict).to_contain_text(f"{study.alerts:,}")
    table = page.get_by_role("region", name="Columns")
    assert table.locator("tbody th").all_inner_texts() == [column.column for column in study.report.columns]
    assert table.locator("tbody tr", has_text="▲ drifted").count() == moved
    # Both distributions of each column are drawn.
    assert table.locator("svg.wc-shape path[d^='M0']").count() == 2 * len(study.report.columns)
    box = table.locator("svg.wc-shape").first.bounding_box()
    assert box["width"] > 60
    for form in ("HTML", "CSV"):
        assert f"run={forest.id}" in page.get_by_role("link", name=f"Export as {form}").get_attribute("href")


def test_a_window_is_in_the_address_and_its_rows_alone_are_compared(forest, console, visit):
    page = opened(visit, forest)
    rows = console.workspace.scores(forest.id).rows()
    window = int(rows[100]), int(rows[599])
    page.get_by_label("From row").fill(str(window[0]))
    page.get_by_label("To row").fill(str(window[1]))
    page.get_by_role("button", name="Compare these rows").click()
    page.wait_for_url(re.compile(f"first={window[0]}&last={window[1]}"))
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text(f"500 rows from {window[0]:,} to {window[1]:,}")
    page.reload()
    expect(verdict).to_contain_text(f"500 rows from {window[0]:,} to {window[1]:,}")
    page.go_back()
    expect(verdict).to_contain_text("1,000 rows from")


def test_another_world_is_told_from_more_anomalies_and_nothing_is_set_unasked(forest, moved, console, visit):
    dataset, before = moved(forest), console.workspace.runs.get(forest.id)
    page = opened(visit, forest, f"&dataset={dataset.id}")
    study = drift_study(console.workspace, forest.id, dataset.id)
    assert study.report.verdict.verdict == "the world moved"
    expect(page.get_by_role("heading", name="The world moved")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    expect(page.get_by_role("region", name="Columns")).to_contain_text(HOSTILE)
    card = page.get_by_role("region", name="Recalibration")
    card.get_by_label("Share of these rows to flag").fill("5")
    card.get_by_role("button", name="Propose a threshold").click()
    wanted = Quantile(0.05).fit(study.scores)
    expect(card).to_contain_text(f"{value(wanted, 6)}, flags {int((study.scores > wanted).sum())} of")
    apply = card.get_by_role("button", name="Recalibrate the threshold")
    apply.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_have_count(0)
    assert console.workspace.runs.get(forest.id) == before
    try:
        apply.click()
        dialog.get_by_role("button", name="Recalibrate", exact=True).click()
        # The badge says what it was fitted on, and so does the audit.
        expect(page.get_by_role("region", name="Honest evaluation")).to_contain_text(
            "recalibrated after a look at drift"
        )
        run = console.workspace.runs.get(forest.id)
        assert run.threshold == wanted
        assert dataset.name in run.threshold_source
        line = console.workspace.audit.lines(subject=forest.id, limit=1)[0]
        assert (line.action, line.detail["source"]) == ("threshold set", run.threshold_source)
    finally:
        console.workspace.set_threshold(forest.id, before.threshold, source=before.threshold_source)


def test_a_data_set_without_the_columns_is_refused_in_words(forest, console, visit):
    other = console.workspace.datasets.add(pl.DataFrame({"a": np.arange(50.0)}), "Other")
    page = visit(f"/drift?run={forest.id}&dataset={other.id}")
    expect(page.get_by_role("alert").first).to_contain_text("Choose a data set with the same columns")
    console.workspace.datasets.remove(other.id)


def test_axe_finds_nothing_serious_once_the_figures_are_there(forest, visit):
    page = opened(visit, forest)
    page.get_by_role("button", name="Propose a threshold").click()
    page.get_by_role("button", name="Recalibrate the threshold").wait_for()
    assert serious(page) == []
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320

"""The console as a person walks it: an empty workspace, a table of one's own, a fit, and all screens."""

import re

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect

from whitecrow.dashboard.formats import figure, interval, value

HOSTILE = "<img src=x onerror=window.hacked=1>"
CELLS = ["<script>window.hacked=1</script>", "{{constructor.constructor('window.hacked=1')()}}", "`${window.hacked=1}`"]


def tiles(page) -> dict[str, list[str]]:
    """Return the large figures of a page by name."""
    found = page.locator(".wc-figure").all()
    return {one.locator("dt").inner_text(): one.locator("dd").all_inner_texts() for one in found}


def expected_tiles(run) -> dict[str, list[str]]:
    """Return what the figures of a run's report should look like."""
    metrics, chance = run.report["metrics"], run.report["baselines"]
    names = {"AUROC": "auroc", "Average precision": "average_precision", "Precision": "precision", "Recall": "recall",
             "False-positive rate": "false_positive_rate", "Alert rate": "alert_rate"}  # fmt: skip
    return {
        title: [figure(metrics[name]["value"]), f"95 %: {interval(metrics[name])}"]
        + ([f"by chance: {figure(chance[name])}"] if name in chance else [])
        for title, name in names.items()
    }


@pytest.fixture
def hostile_csv(tmp_path):
    """A CSV file with a label, a leak, a constant, and markup in its names and cells."""
    rng = np.random.default_rng(0)
    odd = rng.random(400) < 0.15
    table = pl.DataFrame(
        {
            "size": rng.normal(100, 10, 400) + 25 * odd,
            "rate": rng.normal(5, 1, 400) - 3 * odd,
            HOSTILE: [CELLS[k % 3] for k in range(400)],
            "tells": odd.astype(int) * 7,
            "same": ["x"] * 400,
            "verdict": np.where(odd, "<i>scan</i>", "fine"),
        }
    )
    file = tmp_path / "<b>mine<b>.csv"
    table.write_csv(file)
    return file


def choose(page, label, option):
    """Choose an option of a select as a person would."""
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_an_empty_workspace_is_filled_by_one_click_and_shows_the_figures_of_its_reports(emptied, visit):
    page = visit("/")
    expect(page.get_by_role("heading", name="This workspace is empty")).to_be_visible()
    page.get_by_role("button", name="Fit the demo models").click()
    expect(page.get_by_role("heading", name="Under way")).to_be_visible()
    emptied.wait()
    expect(page.get_by_role("heading", name="Under way")).to_have_count(0)
    page.wait_for_url(re.compile("run="))
    shown = page.url.rpartition("run=")[2]
    run = emptied.workspace.runs.get(shown)
    assert tiles(page) == expected_tiles(run)
    expect(page.get_by_role("region", name="Honest evaluation")).to_contain_text(run.threshold_source)
    expect(page.get_by_role("region", name="Recent runs").get_by_text("done")).to_have_count(4)
    # A link that is sent to somebody else shows the same.
    assert tiles(visit(page.url)) == expected_tiles(run)


def test_a_table_is_uploaded_warned_of_labelled_and_fitted(console, visit, hostile_csv):
    page = visit("/data")
    expect(page.get_by_text("100.0 MiB")).to_be_visible()
    page.evaluate("document.querySelector('input[type=file]').dataset.wcMost = 10")
    page.locator("input[type=file]").set_input_files(hostile_csv)
    expect(page.locator(".wc-alert")).to_contain_text("too large")
    page.evaluate("document.querySelector('input[type=file]').dataset.wcMost = 1000000")
    page.locator("input[type=file]").set_input_files(hostile_csv)
    expect(page.get_by_role("heading", name="mine<b>.csv")).to_be_visible()
    record = console.workspace.datasets.all()[0]
    assert page.url.endswith(f"?dataset={record.id}")
    assert (record.rows, record.columns) == (400, 6)
    columns = page.get_by_role("region", name="Columns")
    expect(columns).to_contain_text("constant: it tells nothing")
    # Names and cells are text, in the table of columns and in the grid.
    expect(columns.get_by_role("rowheader", name=HOSTILE)).to_be_visible()
    grid = page.get_by_role("region", name=f"Rows of {record.name}")
    expect(grid.get_by_text(CELLS[0]).first).to_be_visible()
    expect(grid.get_by_text(HOSTILE)).to_be_visible()
    choose(page, "Label column", "verdict")
    # Which of its values are normal cannot be told, and is not guessed.
    page.get_by_role("button", name="Save column settings").click()
    expect(page.locator(".wc-alert").filter(has_text="Values that mean normal")).to_be_visible()
    assert console.workspace.datasets.get(record.id).labels is None
    choose(page, "Values that mean normal", "fine")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save column settings").click()
    expect(columns).to_contain_text("alone tells the label")
    labels = console.workspace.datasets.get(record.id).labels
    assert labels["counts"].keys() == {"fine", "<i>scan</i>"}
    assert labels["normal_values"] == ["fine"]
    page.get_by_role("checkbox", name="Ignore tells", exact=True).click()
    page.get_by_role("button", name="Save column settings").click()
    expect(page.get_by_text("Look at 1 column below before fitting: same.")).to_be_visible()
    choose(page, "Detector", "pca")
    parameter = page.get_by_role("textbox", name="contamination", exact=True)
    page.get_by_text("Parameters that all methods have").click()
    expect(parameter).to_be_visible()
    parameter.fill("2")
    page.get_by_role("button", name="Start the fit").click()
    expect(page.locator(".wc-alert").filter(has_text="contamination must be")).to_be_visible()
    parameter.fill("0.15")
    shares = [page.get_by_label(f"Share that {what}", exact=True) for what in ("sets the threshold", "tests")]
    for field, share in zip(shares, ("0.2", "0.4"), strict=True):
        field.fill(share)
    page.get_by_role("button", name="Start the fit").click()
    expect(page.locator(".wc-alert").filter(has_text="must add up to 1")).to_be_visible()
    shares[1].fill("")
    page.get_by_role("button", name="Start the fit").click()
    page.wait_for_url(re.compile(r"/runs\?run="))
    run_id = page.url.rpartition("=")[2]
    console.wait()
    run = console.workspace.runs.get(run_id)
    assert run.request.parameters == {"contamination": 0.15}
    assert run.request.settings.ignore == ("tells",)
    assert (run.request.split.validation, run.request.split.test) == (0.2, None)
    assert run.threshold_source.endswith("; validation rows")
    expect(page.locator(".wc-card-head .wc-state").first).to_contain_text("done")
    assert tiles(page) == expected_tiles(run)
    expect(page.get_by_text(f"{value(run.threshold, 6)} – {run.threshold_source}")).to_be_visible()
    link = page.get_by_role("link", name=f"Scores as CSV of run {run.number}")
    assert link.get_attribute("href") == f"/api/runs/{run_id}/scores.csv"
    for name, file in (("Report", "report.html"), ("Model card", "card.md")):
        link = page.get_by_role("link", name=re.compile(f"^{name} of run {run.number}")).first
        assert link.get_attribute("href") == f"/api/runs/{run_id}/{file}"
    assert page.evaluate("window.hacked") is None


def test_a_run_is_renamed_and_deleted_after_a_question(filled, console, visit):
    extra = console.workspace.jobs.submit(filled.runs[2].request)
    console.wait()
    page = visit(f"/runs?run={extra.id}")
    page.get_by_role("button", name=f"Rename run {extra.number}").click()
    page.get_by_role("textbox", name="Name").fill("<b>second</b>")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h2").first).to_have_text(f"{extra.number} · <b>second</b>")
    page.get_by_role("button", name=f"Delete run {extra.number}").click()
    page.get_by_role("button", name="Keep it").click()
    assert extra.id in {run.id for run in console.workspace.runs.all()}
    page.get_by_role("button", name=f"Delete run {extra.number}").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("link", name="second")).to_have_count(0)
    assert extra.id not in {run.id for run in console.workspace.runs.all()}


def test_a_running_fit_shows_its_progress_and_is_cancelled(filled, console, visit):
    request = filled.runs[0].request
    slow = type(request)(request.dataset, "autoencoder", {"epochs": 100_000}, split=request.split)
    run = console.workspace.jobs.submit(slow)
    page = visit(f"/runs?run={run.id}")
    expect(page.get_by_text(re.compile(r"epoch [\d,]+ of 100000")).first).to_be_visible()
    page.get_by_role("button", name=f"Cancel run {run.number}").first.click()
    expect(page.get_by_role("button", name=f"Resume run {run.number}").first).to_be_visible()
    assert console.workspace.runs.get(run.id).state == "cancelled"
    console.workspace.runs.remove(run.id)


def test_the_history_of_a_run_is_a_chart_with_its_table(filled, console, visit):
    run = next(run for run in filled.runs if run.detector == "autoencoder")
    page = visit(f"/runs?run={run.id}")
    expect(page.get_by_role("img", name=re.compile("Loss by epoch"))).to_be_visible()
    page.get_by_text("Show as table").click()
    rows = page.get_by_role("region", name="Numbers behind the chart").locator("tbody tr")
    epochs = console.workspace.runs.epochs(run.id)
    assert rows.count() == len(epochs)
    assert rows.last.all_inner_texts()[0].split() == [str(len(epochs)), "fit", value(epochs[-1].loss)]


def test_the_back_button_returns_to_the_view_before(filled, visit):
    page = visit(f"/data?dataset={filled.dataset.id}")
    expect(page.get_by_role("heading", name=filled.dataset.name)).to_be_visible()
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name=filled.dataset.name)).to_be_visible()


def test_a_hundred_thousand_rows_are_shown_block_by_block_and_sorted(console, visit):
    table = pl.DataFrame({"k": np.arange(100_000), "a.b": np.random.default_rng(0).permutation(100_000)})
    record = console.workspace.datasets.add(table, "Many rows")
    page = visit(f"/data?dataset={record.id}")
    grid = page.get_by_role("region", name="Rows of Many rows")
    expect(grid.get_by_role("gridcell").first).to_have_text("0")
    grid.get_by_role("columnheader", name="a.b").click()
    first = int(table["a.b"].arg_min())
    expect(grid.get_by_role("gridcell").first).to_have_text(str(first))
    console.workspace.datasets.remove(record.id)

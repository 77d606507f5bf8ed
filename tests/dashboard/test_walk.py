"""The console as a person walks it: an empty workspace, a table of one's own, a fit, and all screens."""

import io
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.dashboard.test_compare_screen import cells
from tests.dashboard.test_explore import ratio, set_by, shown, to_value
from tests.dashboard.test_stream_screen import shown as streamed
from tests.dashboard.test_stream_screen import stepped

from whitecrow.dashboard.formats import figure, interval, value
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.screens import SCREENS
from whitecrow.data.datasets import KDD_COLUMNS, KDD_SYMBOLIC

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
    page.get_by_role("button", name="Start the fit").click()
    page.wait_for_url(re.compile(r"/runs\?run="))
    run_id = page.url.rpartition("=")[2]
    console.wait()
    run = console.workspace.runs.get(run_id)
    assert run.request.parameters == {"contamination": 0.15}
    assert run.request.settings.ignore == ("tells",)
    expect(page.locator(".wc-card-head .wc-state").first).to_contain_text("done")
    assert tiles(page) == expected_tiles(run)
    expect(page.get_by_text(f"{value(run.threshold, 6)} – {run.threshold_source}")).to_be_visible()
    link = page.get_by_role("link", name=f"Scores as CSV of run {run.number}")
    assert link.get_attribute("href") == f"/api/runs/{run_id}/scores.csv"
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


# ---- one walk through all of it -------------------------------------------------------------------------------------

CONNECTIONS = 1200
VERDICTS = {"y": "confirmed", "n": "dismissed", "u": "unsure"}
COUNTS = ("tp", "fp", "fn", "tn")


def kdd_rows(rng: np.random.Generator) -> pl.DataFrame:
    """Return connections with the columns of KDD Cup 1999: invented."""
    odd = rng.random(CONNECTIONS) < 0.1
    symbols = {
        "protocol_type": np.where(odd, "icmp", rng.choice(["tcp", "udp"], CONNECTIONS)),
        "service": np.where(odd, "ecr_i", rng.choice(["http", "smtp", "domain_u"], CONNECTIONS)),
        "flag": rng.choice(["SF", "S0", "REJ"], CONNECTIONS, p=[0.9, 0.06, 0.04]),
    }
    columns = {}
    for column in KDD_COLUMNS:
        if column in KDD_SYMBOLIC:
            columns[column] = symbols.get(column, np.full(CONNECTIONS, "0"))
        elif column.endswith("rate"):
            columns[column] = rng.beta(1 + 2 * odd, 6).round(2)
        else:
            columns[column] = rng.geometric(0.02, CONNECTIONS) * (1 + odd * rng.integers(0, 6, CONNECTIONS))
    return pl.DataFrame(columns).with_columns(label=pl.Series(np.where(odd, "smurf", "normal")))


@pytest.fixture
def kdd_extract(tmp_path) -> Path:
    """A CSV file of connections."""
    file = tmp_path / "kdd.csv"
    kdd_rows(np.random.default_rng(0)).write_csv(file)
    return file


def exported(page, run, part="test") -> pl.DataFrame:
    """Return the scores of a run as anybody may download them."""
    answer = page.request.get(f"/api/runs/{run}/scores.csv?part={part}")
    assert answer.ok
    return pl.read_csv(io.BytesIO(answer.body()), infer_schema_length=None)


def recomputed(table, threshold) -> dict[str, float | None]:
    """Return the figures of exported scores above a threshold, each the double that is nearest to the true ratio."""
    flag, label = (table["score"] > threshold).to_numpy(), table["label"].to_numpy()
    tp, fp, fn, tn = (int(((flag == f) & (label == y)).sum()) for f, y in ((1, 1), (1, 0), (0, 1), (0, 0)))
    return {
        "tp": tp, "fp": fp, "fn": fn, "tn": tn, "alerts": tp + fp,
        "alerts_per_1000": ratio(1000 * (tp + fp), len(label)), "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn), "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "f2": ratio(5 * tp, 5 * tp + 4 * fn + fp), "false_positive_rate": ratio(fp, fp + tn),
        "accuracy": ratio(tp + tn, tp + tn + fp + fn),
    }  # fmt: skip


class Walk:
    """A person at a page: which screens were seen, and the steps that are taken more than once."""

    def __init__(self, page, console) -> None:
        self.page, self.console, self.seen = page, console, {"Overview"}

    def to(self, title: str) -> None:
        """Follow a link of the navigation."""
        self.page.get_by_role("navigation", name="Screens").get_by_role("link", name=title, exact=True).click()
        self.arrived(title)

    def arrived(self, title: str) -> None:
        """Wait until a screen is there and answers."""
        path = next(screen.path for screen in SCREENS if screen.title == title)
        self.page.wait_for_url(lambda url: urlsplit(url).path == path)
        self.page.locator("h1").wait_for()
        self.page.wait_for_function("document.documentElement.dataset.keys === 'ready'")
        self.seen.add(title)

    def fit(self, detector: str, parameter: str):
        """Fit a detector to the data set that is shown, which ends at its run; ``parameter`` is one of its own."""
        self.page.wait_for_load_state("networkidle")  # the fields of the first detector move what is below them
        choose(self.page, "Detector", detector)
        self.page.get_by_role("textbox", name=parameter, exact=True).wait_for()
        self.page.get_by_role("button", name="Start the fit").click()
        self.arrived("Runs")
        return self.ended()

    def ended(self):
        """Return the run of the address once it is done."""
        key = parse_qs(urlsplit(self.page.url).query)["run"][0]
        self.console.wait()
        expect(self.page.locator(".wc-card-head .wc-state").first).to_contain_text("done")
        return self.console.workspace.runs.get(key)


def brings(walk, file):
    """Upload a file and say what its label is."""
    walk.to("Data")
    walk.page.locator("input[type=file]").set_input_files(file)
    expect(walk.page.get_by_role("heading", name=file.name)).to_be_visible()
    choose(walk.page, "Label column", "label")
    walk.page.get_by_role("button", name="Save column settings").click()
    record = walk.console.workspace.datasets.all()[0]
    expect(walk.page.get_by_text(re.compile(r"^1,080 \(normal\)|^1,\d{3} \(normal\)"))).to_be_visible()
    assert (record.rows, record.columns) == (CONNECTIONS, len(KDD_COLUMNS) + 1)
    return record


def draws_the_line(walk, run) -> tuple[str, dict[str, float | None]]:
    """Move the threshold of a run; return the address, and the figures that anybody who opens it has to see."""
    page, table = walk.page, exported(walk.page, run.id)
    walk.to("Explore")
    page.locator("[data-ready=true]").wait_for(state="attached")
    own = recomputed(table, run.threshold)
    assert {name: shown(page, name) for name in own} == own
    set_by(page, "count")
    to_value(page, 25)
    page.get_by_label("Value", exact=True).focus()
    for key in ("Tab", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("[data-wct=alerts]")).to_have_text("26")
    page.get_by_label("Cost of a miss (C_FN)").fill("40")
    page.wait_for_url(re.compile("threshold=.*miss=40"))
    threshold = float(parse_qs(urlsplit(page.url).query)["threshold"][0])
    wanted = recomputed(table, threshold)
    wanted["cost"] = (40 * wanted["fn"] + wanted["fp"]) / len(table)
    found = {name: shown(page, name) for name in wanted}
    # Costs are sums of shares, and so not the nearest doubles.
    assert found.pop("cost") == pytest.approx(wanted.pop("cost"), rel=1e-12)
    assert found == wanted
    return page.url, wanted


def reads_an_explanation(walk, run, file, threshold):
    """Open the most anomalous row by keyboard, read why, and close it."""
    page, table = walk.page, exported(walk.page, run.id)
    scores = table["score"].to_numpy()
    first = int(np.argsort(-scores, kind="stable")[0])
    row, score = table["row"][first], scores[first]
    page.get_by_role("region", name="Alerts").locator("[role=gridcell][col-id=c0]").first.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name=f"Row {row}")
    expect(drawer.get_by_role("heading", name="Nearest normal rows")).to_be_visible()
    place = tiles(page)
    percentile = f"percentile {100 * (scores < score).mean():.2f} of {len(scores)} test rows"
    assert place["Score"] == [value(score, 6), percentile]
    assert place["Margin to the threshold"][0] == f"{score - threshold:+.4g}"
    expect(drawer.get_by_text(re.compile("^Method: "))).to_be_visible()
    # Beside what is typical stands what the file says.
    told = drawer.get_by_role("table").filter(has=page.get_by_role("columnheader", name="Normally")).locator("tbody tr")
    name, given = told.first.locator("th").inner_text(), pl.read_csv(file)[row, told.first.locator("th").inner_text()]
    own = given if isinstance(given, str) else value(float(given), 6)
    assert told.first.locator("td").first.inner_text().startswith(own), name
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)


def judges_ten_alerts(walk, run):
    """Go to Triage and judge by keyboard alone, and take the last verdict back."""
    page, table = walk.page, exported(walk.page, run.id)
    page.keyboard.press(next(screen.key for screen in SCREENS if screen.title == "Triage"))
    walk.arrived("Triage")
    page.goto(f"{page.url}&is.groups=off")
    page.wait_for_function("window.wcTriage")
    flagged = table.filter(pl.col("score") > run.threshold)
    queue = flagged["row"].to_numpy()[np.argsort(-flagged["score"].to_numpy(), kind="stable")].tolist()
    under_review = page.get_by_role("region", name="Alert under review").get_by_role("heading", level=2)
    said = page.locator("[role=status][aria-live=polite]").first
    keys = "ynuyynuyny"
    for row, key in zip(queue, keys, strict=False):
        expect(under_review).to_have_text(f"Row {row}")
        page.keyboard.press(key)
        expect(said).to_contain_text(f"Row {row} {VERDICTS[key]}.")
    page.keyboard.press("z")
    expect(said).to_contain_text("Undone: confirmed, 1 row.")
    given = exported(page, run.id).filter(pl.col("verdict").is_not_null() & (pl.col("verdict") != "new"))
    judged = dict(zip(queue[:9], (VERDICTS[key] for key in keys[:9]), strict=True))
    assert dict(given.select("row", "verdict").iter_rows()) == judged
    right, wrong = (sum(one == word for one in judged.values()) for word in ("confirmed", "dismissed"))
    tile = next(lines for name, lines in tiles(page).items() if name.startswith("Precision at"))
    assert (tile[0], tile[2]) == (figure(right / (right + wrong)), f"{right} confirmed, {wrong} dismissed")


def compares(walk, runs):
    """Lay runs over one another, beginning with the last."""
    page, first, last = walk.page, runs[0], runs[-1]
    walk.to("Compare")
    # A chart that is taken away before it is drawn is an error of its library.
    page.wait_for_load_state("networkidle")
    page.get_by_role("checkbox", name=f"Compare run {first.number}").press("Space")
    page.wait_for_url(re.compile(f"run={last.id}.*run={first.id}|run={first.id}.*run={last.id}"))
    page.locator(".wc-main[aria-busy=false]").wait_for()
    for run in runs:
        table = exported(page, run.id)
        label, score = table["label"].to_numpy(), table["score"].to_numpy()
        merits = cells(page, "Figures of merit", run_name(run))
        assert merits[0].split()[0] == figure(roc_auc_score(label, score))
        assert merits[1].split()[0] == figure(average_precision_score(label, score))
        wanted = recomputed(table, run.threshold)
        assert merits[5].split()[0] == figure(wanted["false_positive_rate"])


def streams(walk, runs, dataset):
    """Let the runs race over the uploaded rows."""
    page = walk.page
    walk.to("Stream")
    page.get_by_role("combobox", name="Records from").select_option(dataset.id)
    stepped(page, CONNECTIONS, CONNECTIONS)
    for run in runs:
        wanted = recomputed(exported(page, run.id, "all"), run.threshold)
        for name in (*COUNTS, "alerts", "precision", "recall"):
            assert streamed(page, f"{run.id}.{name}") == wanted[name]
        assert streamed(page, f"{run.id}.fpr") == wanted["false_positive_rate"]
        assert streamed(page, f"{run.id}.cost") == 10 * wanted["fn"] + wanted["fp"]


def watches_training(walk, dataset):
    """Train a network in the Lab, and scrub to the epoch that is kept."""
    page = walk.page
    walk.to("Lab")
    before = parse_qs(urlsplit(page.url).query).get("run")
    choose(page, "Data set", dataset.name)
    page.get_by_role("textbox", name="epochs", exact=True).fill("3")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("run", before) != before)
    run = walk.ended()
    table = exported(page, run.id)
    label, score = table["label"].to_numpy(), table["score"].to_numpy()
    epochs = page.request.get(f"/api/runs/{run.id}/epochs").json()["epochs"]
    (kept,) = run.summary["kept_epochs"]
    assert epochs[kept - 1]["seen"]["auroc"] == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert epochs[kept - 1]["seen"]["threshold"] == run.threshold
    page.get_by_role("slider", name="Epoch").fill("0")
    expect(page.get_by_text(re.compile("^Epoch 1 of 3"))).to_be_visible()
    page.get_by_role("slider", name="Epoch").fill(str(kept - 1))
    expect(page.get_by_text(re.compile(f"^Epoch {kept} of 3"))).to_be_visible()
    merits, wanted = tiles(page), recomputed(table, run.threshold)
    assert merits["AUROC"][0] == figure(roc_auc_score(label, score))
    assert merits["Recall"][0] == figure(wanted["recall"])
    return run


def test_one_walk_from_a_file_through_all_screens_to_a_shared_link(console, visit, kdd_extract):
    page = visit("/")
    walk = Walk(page, console)
    dataset = brings(walk, kdd_extract)
    first = walk.fit("pca", "n_components")
    table = exported(page, first.id)
    assert tiles(page)["AUROC"][0] == figure(roc_auc_score(table["label"].to_numpy(), table["score"].to_numpy()))
    link, figures = draws_the_line(walk, first)
    reads_an_explanation(walk, first, kdd_extract, float(parse_qs(urlsplit(link).query)["threshold"][0]))
    judges_ten_alerts(walk, first)
    walk.to("Data")
    page.get_by_role("link", name=dataset.name, exact=True).click()
    runs = [first, walk.fit("isolation-forest", "n_estimators")]
    compares(walk, runs)
    streams(walk, runs, dataset)
    walk.to("Drift")
    drifting = console.workspace.runs.get(parse_qs(urlsplit(page.url).query)["run"][0])
    alerts = recomputed(exported(page, drifting.id), drifting.threshold)["alerts"]
    expect(page.get_by_role("region", name="Verdict")).to_contain_text(f"Alerts{alerts:,}")
    runs.append(watches_training(walk, dataset))
    for title in ("Draw", "Rules", "Overview"):
        walk.to(title)
    assert walk.seen == {screen.title for screen in SCREENS}
    again = visit(link)
    again.locator("[data-ready=true]").wait_for(state="attached")
    assert {name: shown(again, name) for name in figures} == figures
    assert again.get_by_label("It is set by").input_value() == "count"
    for run in runs:
        console.workspace.runs.remove(run.id)
    console.workspace.datasets.remove(dataset.id)

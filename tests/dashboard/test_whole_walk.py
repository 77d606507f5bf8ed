"""One walk through the whole console: a file of connections, a fit, all screens, and a link that is shared."""

import io
import re
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.dashboard.connections import connections
from tests.dashboard.test_compare_screen import cells
from tests.dashboard.test_explore import ratio, set_by, shown, to_value
from tests.dashboard.test_stream_screen import shown as streamed
from tests.dashboard.test_stream_screen import stepped
from tests.dashboard.test_walk import choose

from whitecrow.dashboard.formats import count, figure, original, value
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.screens import SCREENS
from whitecrow.data.datasets import KDD_COLUMNS

VERDICTS = {"y": "confirmed", "n": "dismissed", "u": "unsure"}
COUNTS = ("tp", "fp", "fn", "tn")


@pytest.fixture
def kdd_extract(tmp_path) -> Path:
    """A CSV file of connections."""
    file = tmp_path / "kdd.csv"
    connections().write_csv(file)
    return file


def tile(page, name, within=None):
    """Return the lines of a large figure; what is expected of them waits for it."""
    title = page.locator("dt", has_text=re.compile(f"^{re.escape(name)}"))
    return (within or page).locator(".wc-figure").filter(has=title).first.locator("dd")


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
    label = pl.read_csv(file, infer_schema_length=None)["label"].to_list()
    counts = Counter(label)
    walk.to("Data")
    walk.page.locator("input[type=file]").set_input_files(file)
    expect(walk.page.get_by_role("heading", name=file.name)).to_be_visible()
    choose(walk.page, "Label column", "label")
    walk.page.get_by_role("button", name="Save column settings").click()
    expect(walk.page.get_by_text(f"{counts['normal.']:,} (normal.)", exact=True)).to_be_visible()
    attacks = walk.page.get_by_text(re.compile(rf"^{len(label) - counts['normal.']:,} \("))
    odd = [(name, n) for name, n in counts.most_common() if name != "normal."]
    for name, n in odd:
        if len(odd) <= 8 or n > odd[8][1]:
            expect(attacks).to_contain_text(f"{name} {n:,}")
    if len(odd) > 8:
        rest = sum(n for _, n in odd[8:])
        expect(attacks).to_contain_text(f"and {count(len(odd) - 8, 'more label')} of {rest:,} rows")
    record = walk.console.workspace.datasets.get(parse_qs(urlsplit(walk.page.url).query)["dataset"][0])
    assert (record.rows, record.columns) == (len(label), len(KDD_COLUMNS) + 1)
    assert record.labels["counts"] == counts
    assert record.labels["normal_values"] == ["normal."]
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
    # Rows of one score are flagged together, so 26 are the most that there may be.
    score = table["score"].to_numpy()
    alerts = max(n for n in [0, *((score >= one).sum() for one in score)] if n <= 26)
    expect(page.locator("[data-wct=alerts]")).to_have_text(str(alerts))
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
    percentile = f"percentile {100 * (scores < score).mean():.2f} of {len(scores):,} test rows"
    expect(tile(page, "Score", drawer)).to_have_text([value(score, 6), percentile])
    expect(tile(page, "Margin to the threshold", drawer).first).to_have_text(f"{score - threshold:+.4g}")
    expect(drawer.get_by_text(re.compile("^Method: "))).to_be_visible()
    # Beside what is typical stands what the file says.
    told = drawer.get_by_role("table").filter(has=page.get_by_role("columnheader", name="Normally")).locator("tbody tr")
    given = pl.read_csv(file, infer_schema_length=None).row(row, named=True)
    for line in told.all():
        name = line.locator("th").inner_text()
        assert line.locator("td").first.inner_text().split(" (")[0] == original(given[name]), name
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
    lines = tile(page, "Precision at")
    expect(lines.nth(0)).to_have_text(figure(right / (right + wrong)))
    expect(lines.nth(2)).to_have_text(f"{right} confirmed, {wrong} dismissed")


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
    stepped(page, dataset.rows, dataset.rows)
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
    expect(tile(page, "AUROC").first).to_have_text(figure(roc_auc_score(label, score)))
    expect(tile(page, "Recall").first).to_have_text(figure(recomputed(table, run.threshold)["recall"]))
    return run


def test_one_walk_from_a_file_through_all_screens_to_a_shared_link(console, visit, kdd_extract):
    page = visit("/")
    walk = Walk(page, console)
    dataset = brings(walk, kdd_extract)
    first = walk.fit("pca", "n_components")
    table = exported(page, first.id)
    merit = roc_auc_score(table["label"].to_numpy(), table["score"].to_numpy())
    expect(tile(page, "AUROC").first).to_have_text(figure(merit))
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

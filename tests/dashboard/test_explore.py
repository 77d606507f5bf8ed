"""The Explore screen in a browser: every figure is recomputed from the scores of the run."""

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect
from tests.dashboard.accessibility import serious

from whitecrow.dashboard.tables import ROWS_PATH
from whitecrow.metrics import Costs, wilson_interval
from whitecrow.metrics import threshold_search as search
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule

HOSTILE = "<img src=x onerror=window.hacked=1>"


def explore(visit, run, query="", **options):
    """Open the screen for a run, and wait until the threshold is live."""
    page = visit(f"/explore?run={run.id}{query}", **options)
    page.locator("[data-ready=true]").wait_for(state="attached")
    return page


def shown(page, name) -> float | None:
    """Return a figure with all its digits."""
    text = page.locator(f"[data-wct={name}]").get_attribute("data-value")
    return float(text) if text else None


def expected(workspace, run, threshold, part=None) -> dict[str, Any]:
    """Return the figures of the rows above a threshold, each the double that is nearest to the true ratio."""
    scores = workspace.scores(run.id)
    rows = scores.rows(part)
    flag, label = scores.score[rows] > threshold, scores.label[rows]
    tp, fp, fn, tn = (int((flag == f)[label == y].sum()) for f, y in ((1, 1), (1, 0), (0, 1), (0, 0)))
    return {
        "tp": tp, "fp": fp, "fn": fn, "tn": tn,
        "unknown_flagged": int(flag[label == -1].sum()), "unknown_passed": int((~flag)[label == -1].sum()),
        "alerts": int(flag.sum()), "alerts_per_1000": ratio(1000 * int(flag.sum()), len(rows)),
        "precision": ratio(tp, tp + fp), "recall": ratio(tp, tp + fn), "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "f2": ratio(5 * tp, 5 * tp + 4 * fn + fp), "false_positive_rate": ratio(fp, fp + tn),
        "accuracy": ratio(tp + tn, tp + tn + fp + fn),
    }  # fmt: skip


def ratio(part, whole) -> float | None:
    return float(Fraction(part, whole)) if whole else None


def set_by(page, meaning):
    page.get_by_label("It is set by").select_option(meaning)


def to_value(page, value):
    page.get_by_label("Value", exact=True).fill(str(value))


def settled(page, pattern):
    page.wait_for_url(re.compile(pattern))


@pytest.fixture
def pca(filled):
    return next(run for run in filled.runs if run.detector == "pca")


@pytest.fixture(scope="module")
def partly(console):
    """A run on rows a third of which have no label, with markup in names and cells."""
    rng = np.random.default_rng(1)
    n = 600
    odd = rng.random(n) < 0.1
    label = np.where(odd, "scan", "normal").astype(object)
    label[rng.random(n) < 0.3] = None
    table = pl.DataFrame(
        {
            "size": rng.normal(100, 10, n) + 30 * odd,
            "rate.per": rng.normal(5, 1, n),
            HOSTILE: rng.choice(["<script>window.hacked=1</script>", "{{7*7}}"], n),
            "label": label.tolist(),
        }
    )
    dataset = console.workspace.datasets.add(
        table, "Partly <b>labelled</b>", settings=DatasetSettings(label="label", normal=("normal",))
    )
    request = FitRequest(dataset.id, "pca", {"contamination": 0.1}, name="<b>partly</b>", split=SplitRule("order", 0.5))
    bare = replace(request, settings=DatasetSettings(ignore=("label",)), name="bare")
    runs = [console.workspace.jobs.submit(one) for one in (request, bare)]
    console.wait()
    return [console.workspace.runs.get(run.id) for run in runs]


def test_figures_are_those_of_the_exported_scores_at_every_threshold(pca, console, visit):
    page = explore(visit, pca)
    wanted = expected(console.workspace, pca, pca.threshold)
    assert {name: shown(page, name) for name in wanted} == wanted
    scores = console.workspace.scores(pca.id)
    tested = scores.score[scores.rows()]
    for threshold in (*np.quantile(tested, [0.0, 0.31, 0.9, 1.0]).tolist(), float(np.sort(tested)[-20])):
        to_value(page, repr(threshold))
        page.wait_for_function(f"whitecrow.threshold.value === {threshold!r}")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        wanted = expected(console.workspace, pca, threshold)
        # Where nothing known is flagged, precision is 0 rather than unknown.
        wanted["precision"] = wanted["precision"] or 0.0
        assert {name: shown(page, name) for name in wanted} == wanted
        assert shown(page, "threshold") == threshold
    text = page.locator("[data-wct=recall]").inner_text()
    assert text == f"{wanted['recall']:.3f}"


def test_each_meaning_leads_to_the_threshold_that_keeps_to_it(pca, console, visit):
    page = explore(visit, pca)
    table = console.workspace.alert_table(pca.id)
    for meaning, value, choice in (
        ("percentile", 97.5, search.threshold_for_percentile(table, 97.5)),
        ("per_1000", 12.5, search.threshold_for_alert_rate(table, 12.5)),
        ("count", 17, search.threshold_for_alert_count(table, 17)),
        ("count", 0, search.threshold_for_alert_count(table, 0)),
        ("fpr", 0.02, search.threshold_for_false_positive_rate(table, 0.02)),
        ("percentile", 0, search.threshold_for_percentile(table, 0)),
    ):
        set_by(page, meaning)
        to_value(page, value)
        page.wait_for_function(f"whitecrow.threshold.value === {choice.threshold!r}")
    expect(page.locator("[data-wct-note=moved]")).to_be_visible()
    set_by(page, "fpr")
    to_value(page, 0.05)
    expect(page.locator("[data-wct-note=labels]")).to_contain_text("labels in view")
    to_value(page, 7)
    expect(page.get_by_label("Value", exact=True)).to_have_attribute("aria-invalid", "true")


def test_costs_and_base_rate_are_editable_and_the_cheapest_threshold_follows(pca, console, visit):
    page = explore(visit, pca)
    table = console.workspace.alert_table(pca.id)
    set_by(page, "cost")
    fields = {
        "Cost of a miss (C_FN)": 40, "Cost of a false alarm (C_FP)": 1.5, "Cost of handling any alert (C_A)": 0.25,
        "Value of a catch (V_TP)": 3, "Base rate where it will work": 0.004,
    }  # fmt: skip
    for label, value in fields.items():
        page.get_by_label(label).fill(str(value))
    costs = Costs(40.0, 1.5, 0.25, 3.0, 0.004)
    best = search.threshold_for_cost(table, costs).threshold
    page.wait_for_function(f"whitecrow.threshold.value === {best!r}")
    found = table.figures(best, costs).cost
    assert shown(page, "cost") == found.per_record == shown(page, "least_cost")
    assert shown(page, "saved_against_nothing") == found.saved_against_nothing
    assert shown(page, "saved_against_everything") == found.saved_against_everything
    # The formula itself, apart from our implementation of it.
    at = expected(console.workspace, pca, best)
    tpr, fpr = at["recall"], at["false_positive_rate"]
    by_hand = 0.004 * ((1 - tpr) * 40 + tpr * (0.25 - 3)) + 0.996 * fpr * (1.5 + 0.25)
    assert found.per_record == pytest.approx(by_hand, rel=1e-12)
    expect(page.get_by_text("The minimum is found on the data being viewed")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Expected cost.*found on the data being viewed"))).to_be_visible()
    page.get_by_label("Cost of a miss (C_FN)").fill("-1")
    expect(page.get_by_label("Cost of a miss (C_FN)")).to_have_attribute("aria-invalid", "true")
    assert shown(page, "cost") == found.per_record


def test_the_address_restores_everything_and_the_history_does_not_grow(pca, console, visit):
    page = explore(visit, pca, "&part=train")
    before = page.evaluate("history.length")
    set_by(page, "per_1000")
    for value in (3, 5, 8, 13, 21):
        to_value(page, value)
    page.get_by_label("Cost of a miss (C_FN)").fill("33")
    page.get_by_label("Base rate where it will work").fill("0.125")
    settled(page, "miss=33.*base_rate=0.125.*meaning=per_1000")
    assert page.evaluate("history.length") == before
    query = {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}
    threshold = search.threshold_for_alert_rate(console.workspace.alert_table(pca.id, "train"), 21).threshold
    assert float(query["threshold"]) == threshold
    names = (*expected(console.workspace, pca, threshold, "train"), "cost", "saved_against_nothing", "least_cost")
    figures = {name: shown(page, name) for name in names}
    other = visit(page.url)
    other.locator("[data-ready=true]").wait_for(state="attached")
    assert {name: shown(other, name) for name in names} == figures
    assert other.get_by_label("It is set by").input_value() == "per_1000"
    assert other.get_by_label("Cost of a miss (C_FN)").input_value() == "33"
    expect(other.get_by_role("combobox", name="Rows in view")).to_have_value("Rows that trained")
    expect(other.get_by_text("the model has learnt from these rows")).to_be_visible()


def test_the_slider_works_by_keyboard_alone_and_each_step_counts(pca, visit):
    page = explore(visit, pca)
    set_by(page, "count")
    to_value(page, 0)
    page.get_by_label("Value", exact=True).focus()
    page.keyboard.press("Tab")
    slider = page.get_by_role("slider", name="Threshold slider")
    expect(slider).to_be_focused()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        seen.append(int(page.get_by_label("Value", exact=True).input_value()))
    assert seen == [1, 2, 3, 2]
    assert slider.get_attribute("aria-valuetext") is not None
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('[data-wct=alerts]').dataset.value === '1000'")
    page.keyboard.press("Home")
    expect(page.locator("[data-wct=alerts]")).to_have_text("0")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^at most 0 alerts: score above"))


def test_flags_of_the_alerts_follow_and_enter_opens_the_record(pca, console, visit):
    page = explore(visit, pca)
    set_by(page, "count")
    to_value(page, 2)
    grid = page.get_by_role("region", name="Alerts")
    flags = grid.locator("[role=gridcell][col-id=flag]")
    expect(flags.nth(0)).to_have_text("▲ flagged")
    expect(flags.nth(2)).to_have_text("○ not flagged")
    to_value(page, 5)
    expect(flags.nth(2)).to_have_text("▲ flagged")
    scores = console.workspace.scores(pca.id)
    rows = scores.rows()
    top = rows[np.argsort(-scores.score[rows], kind="stable")]
    grid.locator("[role=gridcell][col-id=c0]").nth(1).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=f"Row {top[1]}")
    expect(dialog.get_by_role("heading", name="Nearest normal rows")).to_be_visible()
    settled(page, f"record={top[1]}")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    settled(page, r"^(?!.*record=)")
    assert page.evaluate("document.activeElement.closest('[role=gridcell]') !== null")


def test_the_first_rows_come_with_the_grid_and_others_are_asked_for(pca, console, visit):
    page = visit()
    asked = []
    page.on("request", lambda one: asked.append(one.url) if ROWS_PATH in one.url else None)
    page.goto(f"/explore?run={pca.id}")
    scores = console.workspace.scores(pca.id)
    rows = scores.rows()
    top = rows[np.argsort(-scores.score[rows], kind="stable")]
    grid = page.get_by_role("region", name="Alerts")
    numbers = grid.locator("[role=gridcell][col-id=c0]")
    expect(numbers.first).to_have_text(str(top[0]))
    assert asked == []
    grid.get_by_role("columnheader", name="Row", exact=True).click()
    expect(numbers.first).to_have_text(str(rows.min()))
    assert "start=0" in asked[0]
    assert "sort=0" in asked[0]
    grid.get_by_role("columnheader", name="Row", exact=True).click()
    expect(numbers.first).to_have_text(str(rows.max()))


def test_the_threshold_becomes_the_runs_own_after_a_question(pca, console, visit):
    extra = console.workspace.jobs.submit(replace(pca.request, name="extra"))
    console.wait()
    run = console.workspace.runs.get(extra.id)
    page = explore(visit, run)
    page.get_by_role("button", name="Make it the run's own").click()
    expect(page.locator(".wc-alert")).to_contain_text("Move it first")
    set_by(page, "fpr")
    to_value(page, 0.01)
    badge = page.get_by_role("region", name="Honest evaluation")
    expect(badge).to_contain_text("moved by hand")
    page.get_by_role("button", name="Make it the run's own").click()
    expect(page.get_by_label("What this threshold means")).to_have_value(re.compile("on the labels in view"))
    page.get_by_role("button", name="Keep the old one").click()
    assert console.workspace.runs.get(run.id).version == run.version
    page.get_by_role("button", name="Make it the run's own").click()
    page.get_by_label("What this threshold means").fill("agreed with <i>ops</i>, by labels")
    page.get_by_role("button", name="Set the threshold").click()
    expect(page.get_by_text("The run's own threshold: agreed with <i>ops</i>, by labels.")).to_be_visible()
    now = console.workspace.runs.get(run.id)
    table = console.workspace.alert_table(run.id)
    assert now.threshold == search.threshold_for_false_positive_rate(table, 0.01).threshold
    assert now.version != run.version
    assert "threshold=" not in page.url
    expect(badge).to_contain_text("agreed with <i>ops</i>")
    console.workspace.runs.remove(run.id)


def test_unknown_labels_are_a_class_of_their_own_and_few_anomalies_have_intervals(partly, console, visit):
    run = partly[0]
    page = explore(visit, run)
    wanted = expected(console.workspace, run, run.threshold)
    assert wanted["unknown_flagged"] + wanted["unknown_passed"] > 50
    assert {name: shown(page, name) for name in wanted} == wanted
    expect(page.get_by_role("img", name=re.compile("Scores by class.*unknown"))).to_be_visible()
    for name, n in (("precision", wanted["tp"] + wanted["fp"]), ("recall", wanted["tp"] + wanted["fn"])):
        ends = page.locator(f"[data-wct={name}_interval]")
        _, low, high = wilson_interval(wanted[name], n)
        assert float(ends.get_attribute("data-low")) == pytest.approx(low, abs=1e-15)
        assert float(ends.get_attribute("data-high")) == pytest.approx(high, abs=1e-15)
        expect(ends).to_have_text(f"95 %: {low:.3f} to {high:.3f}")
    expect(page.get_by_role("combobox", name="Run")).to_have_value(f"{run.number} · <b>partly</b>")
    expect(page.get_by_role("region", name="Alerts").get_by_text("rate.per")).to_be_attached()
    assert page.evaluate("window.hacked") is None


def test_copies_of_a_row_count_once_for_the_intervals(console, visit):
    rng = np.random.default_rng(2)
    odd = rng.random(200) < 0.1
    once = pl.DataFrame({"size": rng.normal(100, 10, 200) + 30 * odd, "label": np.where(odd, "scan", "normal")})
    dataset = console.workspace.datasets.add(
        pl.concat([once, once, once]), "Copied", settings=DatasetSettings(label="label")
    )
    run = console.workspace.jobs.submit(FitRequest(dataset.id, "pca", {"contamination": 0.1}))
    console.wait()
    run = console.workspace.runs.get(run.id)
    page = explore(visit, run)
    recall = page.locator("[data-wct=recall_interval]")
    scores, rows = console.workspace.scores(run.id), console.workspace.scores(run.id).rows()
    n = len({row % 200 for row in rows.tolist() if odd[row % 200]})
    assert n < (scores.label[rows] == 1).sum()
    for threshold in (run.threshold, float(np.median(scores.score[rows]))):
        to_value(page, repr(threshold))
        _, low, high = wilson_interval(expected(console.workspace, run, threshold)["recall"], n)
        expect(recall).to_have_text(f"95 %: {low:.3f} to {high:.3f}")


def test_without_labels_only_the_alert_volume_is_told(partly, console, visit):
    run = partly[1]
    page = explore(visit, run)
    wanted = expected(console.workspace, run, run.threshold)
    assert shown(page, "alerts") == wanted["alerts"] == wanted["unknown_flagged"]
    for name in ("precision", "recall", "f1", "f2", "false_positive_rate", "accuracy", "cost"):
        assert shown(page, name) is None
        expect(page.locator(".wc-figure", has=page.locator(f"[data-wct={name}]"))).to_contain_text("needs labels")
    for meaning in ("fpr", "cost"):
        expect(page.locator(f"option[value={meaning}]")).to_be_disabled()
    expect(page.locator("[data-ready=true]").get_by_role("img")).to_have_count(1)


def test_another_run_is_picked_by_keyboard_and_back_returns(filled, pca, visit):
    other = next(run for run in filled.runs if run.detector == "auto")
    page = explore(visit, pca, "&threshold=1.5")
    page.get_by_role("combobox", name="Run").focus()
    page.keyboard.press("Space")
    option = page.get_by_role("option", name=f"{other.number} · ")
    expect(option).to_be_visible()
    names = page.get_by_role("option").all_inner_texts()
    places = [k for k, name in enumerate(names) if name.startswith((f"{pca.number} · ", f"{other.number} · "))]
    start = next(k for k, name in enumerate(names) if name.startswith(f"{pca.number} · "))
    target = next(k for k in places if k != start)
    for _ in range(abs(target - start)):
        page.keyboard.press("ArrowDown" if target > start else "ArrowUp")
    page.keyboard.press("Enter")
    settled(page, f"run={other.id}$")
    page.wait_for_function(f"whitecrow.threshold.panel?.config.own === {other.threshold!r}")
    page.go_back()
    page.wait_for_function("whitecrow.threshold.value === 1.5")


@pytest.mark.parametrize("query", ["", "&record=310&meaning=percentile&threshold=1.0"], ids=["screen", "drawer"])
def test_axe_finds_nothing_serious_without_labels_and_in_the_drawer(query, partly, visit):
    page = explore(visit, partly[1], query)
    if query:
        dialog = page.get_by_role("dialog", name="Row 310")
        expect(dialog.get_by_role("heading", name="Nearest normal rows")).to_be_visible()
    assert serious(page) == []

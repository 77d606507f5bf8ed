"""Alerts are judged in the browser, by keyboard alone; what is shown is what the workspace and the metrics say."""

import re
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect
from sklearn.metrics import roc_auc_score

from whitecrow.core.errors import DataError
from whitecrow.dashboard.formats import figure, value
from whitecrow.dashboard.screens.triage import SCREEN
from whitecrow.dashboard.triage_alerts import load_alerts
from whitecrow.dashboard.triage_queue import alerts_of
from whitecrow.dashboard.triage_refit import refit_gain, refit_request
from whitecrow.metrics.triage import recalibrated_threshold, reviewed_precision
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule

HOSTILE = '<img src=x onerror="window.hacked=1">'
COPIES = range(580, 584)  # rows alike, with the highest scores
KEYS = {"y": "confirmed", "n": "dismissed", "u": "unsure"}


def table() -> pl.DataFrame:
    """600 rows of which some lie out, four of them alike."""
    rng = np.random.default_rng(3)
    odd = rng.random(600) < 0.15
    odd[COPIES.start : COPIES.stop] = True
    size, rate = rng.normal(100, 10, 600) + 45 * odd, rng.normal(5, 1, 600) - 4 * odd
    size[COPIES.start : COPIES.stop], rate[COPIES.start : COPIES.stop] = 400, -20
    service = np.where(odd, HOSTILE, rng.choice(["http", "dns"], 600))
    return pl.DataFrame({"size": size, "a.b<i>": rate, "service": service, "truth": np.where(odd, "scan", "normal")})


@pytest.fixture(scope="module")
def run(console):
    """A run whose test rows hold some dozen alerts; it goes with its data set at the end."""
    workspace = console.workspace
    settings = DatasetSettings(label="truth", normal=("normal",))
    dataset = workspace.datasets.add(table(), "Triage <b>", settings=settings)
    request = FitRequest(dataset.id, "pca", {"contamination": 0.15}, split=SplitRule("order", 0.5))
    made = workspace.jobs.submit(request)
    console.wait()
    yield workspace.runs.get(made.id)
    for one in workspace.runs.all():
        if one.dataset == dataset.id:
            workspace.runs.remove(one.id)
    workspace.datasets.remove(dataset.id)


@pytest.fixture
def fresh(console, run):
    """The run without verdicts, and with its own threshold."""
    workspace = console.workspace
    while workspace.feedback.undo(run.id):
        pass
    if workspace.runs.get(run.id).threshold != run.threshold:
        workspace.set_threshold(run.id, run.threshold, source=run.threshold_source)
    return workspace.runs.get(run.id)


def flagged(workspace, run) -> np.ndarray:
    """Test rows above the threshold, the highest score first."""
    scores = workspace.scores(run.id)
    rows = np.flatnonzero((scores.part == 1) & (scores.score > run.threshold))
    return rows[np.argsort(-scores.score[rows], kind="stable")]


def judge_by_label(workspace, run, rows) -> None:
    scores = workspace.scores(run.id)
    for verdict, label in (("confirmed", 1), ("dismissed", 0)):
        workspace.feedback.give(run.id, rows[scores.label[rows] == label].tolist(), verdict, scores=scores.score)


def _grouped(workspace, run):
    found = load_alerts(workspace, run.id, None)
    return alerts_of(found.rows, found.scores.score[found.rows], found.groups(1.0))


def under_review(page):
    return page.get_by_role("region", name="Alert under review")


def title(page):
    return under_review(page).get_by_role("heading", level=2)


def said(page):
    return page.locator("[role=status][aria-live=polite]").first


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds in the workspace; what the page says of it may be followed by something else."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def open_triage(visit, run, more=""):
    page = visit(f"/triage?run={run.id}{more}")
    expect(title(page)).to_have_text(re.compile(r"Row \d+"))
    page.wait_for_function("window.wcTriage")  # until then keys do nothing
    return page


# ---- without a browser ----------------------------------------------------------------------------------------------


def test_the_alerts_are_the_flagged_test_rows_without_their_label(console, fresh):
    found = load_alerts(console.workspace, fresh.id, None)
    assert found.rows.tolist() == flagged(console.workspace, fresh).tolist()
    assert found.values.columns == ["size", "a.b<i>", "service"]
    assert found.values["size"].to_list() == table()["size"][found.rows].to_list()
    assert found.base_rate == pytest.approx((table()["truth"][300:] == "scan").mean())


def test_near_duplicates_are_grouped_behind_the_first(console, fresh):
    alerts = _grouped(console.workspace, fresh)
    assert alerts[0].rows == tuple(COPIES)
    rows = flagged(console.workspace, fresh)
    assert sorted(row for alert in alerts for row in alert.rows) == sorted(rows.tolist())


def test_false_alarms_expected_are_those_of_benjamini_and_hochberg(console, fresh):
    found = load_alerts(console.workspace, fresh.id, None)
    assert found.scores.p_value is not None
    p = found.scores.p_value[300:]
    above = np.array([(p <= one).sum() for one in p])
    raw = p * len(p) / above
    # At a row the least that any longer list of alerts has.
    by_hand = np.array([raw[p >= one].min() for one in p]).clip(max=1)
    assert found.q_values == pytest.approx(by_hand[found.rows - 300])


def test_a_filter_finds_text_whatever_its_case(console, fresh):
    found = load_alerts(console.workspace, fresh.id, None)
    services = table()["service"]
    assert found.matching("service", "ONERROR") == {row for row in found.rows.tolist() if services[row] == HOSTILE}
    assert found.matching("service", "") == found.matching("no such column", "x") == set(found.rows.tolist())


def test_a_refit_is_measured_on_the_verdicts_it_was_not_told(console, fresh):
    workspace = console.workspace
    judge_by_label(workspace, fresh, flagged(workspace, fresh))
    request = refit_request(fresh)
    assert (request.detector, request.regime, request.verdicts) == ("deep-sad", "labelled", fresh.id)
    quick = FitRequest.of({**request.document(), "parameters": {"epochs": 2, "hidden_dims": [8], "latent_dim": 4}})
    refit = workspace.jobs.submit(quick)
    console.wait()
    refit = workspace.runs.get(refit.id)
    assert refit.state == "done", refit.error
    labels, held_out = workspace.feedback.labels(fresh.id, 600, seed=refit.request.seed)
    gain = refit_gain(workspace, fresh, refit)
    assert gain.rows.tolist() == held_out.tolist()
    y = labels[held_out]
    before, after = (workspace.scores(one.id).score[held_out] for one in (fresh, refit))
    assert gain.before == pytest.approx(roc_auc_score(y, before))
    assert gain.after == pytest.approx(roc_auc_score(y, after))
    assert gain.difference.value == pytest.approx(gain.after - gain.before)
    top = np.argsort(-after, kind="stable")[: y.sum()]
    assert gain.precision_after == pytest.approx(y[top].mean())
    told = set(np.flatnonzero(labels >= 0)) - set(held_out)
    groups = [set(alert.rows) for alert in _grouped(workspace, fresh)]
    assert gain.alike == sum(len(group - told) for group in groups if group & told) > 0
    workspace.feedback.undo(fresh.id)  # the dismissed ones
    with pytest.raises(DataError, match="0 dismissed alerts are held out"):
        refit_gain(workspace, fresh, refit)
    workspace.runs.remove(refit.id)


# ---- in the browser -------------------------------------------------------------------------------------------------


def test_ten_alerts_are_judged_by_keyboard_alone_and_one_is_undone(console, fresh, visit):
    feedback = console.workspace.feedback
    page = open_triage(visit, fresh, "&is.groups=off")
    rows = flagged(console.workspace, fresh).tolist()
    given = {}
    for row, key in zip(rows, "ynuyynuyny", strict=False):
        expect(title(page)).to_have_text(f"Row {row}")
        page.keyboard.press(key)
        expect(said(page)).to_contain_text(f"Row {row} {KEYS[key]}.")
        given[row] = KEYS[key]
    assert {row: verdict.verdict for row, verdict in feedback.current(fresh.id).items()} == given
    stored = feedback.all(fresh.id)
    assert {(one.version, one.threshold) for one in stored} == {(fresh.version, fresh.threshold)}
    assert [one.score for one in stored] == console.workspace.scores(fresh.id).score[rows[:10]].tolist()
    page.keyboard.press("z")
    expect(said(page)).to_contain_text("Undone: confirmed, 1 row.")
    expect(title(page)).to_have_text(f"Row {rows[9]}")
    assert feedback.current(fresh.id).keys() == set(rows[:9])
    page.keyboard.press("j")
    expect(title(page)).to_have_text(f"Row {rows[10]}")
    for row in (rows[9], rows[8]):
        page.keyboard.press("k")
        expect(title(page)).to_have_text(f"Row {row}")
    expect(under_review(page).get_by_role("button", name="Dismiss")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.activeElement === document.body")
    # The figures are those of the function; the address shows them again.
    queue = [given.get(row, "new") if row != rows[9] else "new" for row in rows]
    expected = reviewed_precision(queue, 5, base_rate=load_alerts(console.workspace, fresh.id, None).base_rate)
    assert expected.precision is not None
    assert expected.lift is not None
    page.get_by_role("spinbutton", name="k of precision at k").fill("5")
    tiles = page.get_by_role("region", name="Precision so far")
    expect(tiles).to_contain_text("Precision at 5")
    expect(tiles).to_contain_text(
        f"{figure(expected.precision.value)}95 %: {figure(expected.precision.low)} to {figure(expected.precision.high)}"
    )
    expect(tiles).to_contain_text(f"{value(expected.lift.value, 3)} ×")
    assert expected.coverage == 0.8
    expect(tiles).to_contain_text("Coverage80 %1 alert unsure, 0 new")
    again = visit(page.url)
    expect(title(again)).to_have_text(f"Row {rows[8]}")
    expect(again.get_by_role("region", name="Precision so far")).to_contain_text("Precision at 5")


def test_a_note_is_written_by_keyboard_kept_with_the_verdict_and_shown_as_text(console, fresh, visit):
    feedback = console.workspace.feedback
    page = open_triage(visit, fresh, "&is.groups=off")
    first, second = flagged(console.workspace, fresh).tolist()[:2]
    expect(under_review(page)).to_contain_text("Found by occlusion.")
    expect(under_review(page)).to_contain_text(HOSTILE)
    page.keyboard.press("e")
    note = under_review(page).get_by_role("textbox", name="Note")
    expect(note).to_be_focused()
    page.keyboard.type("jny <b>no key</b>")
    page.keyboard.press("Escape")
    expect(said(page)).to_contain_text("kept with the verdict that you give")
    assert feedback.all(fresh.id) == []
    page.keyboard.press("y")
    expect(title(page)).to_have_text(f"Row {second}")
    expect(note).to_have_value("")
    assert feedback.current(fresh.id)[first].note == "jny <b>no key</b>"
    page.keyboard.press("k")
    expect(note).to_have_value("jny <b>no key</b>")
    page.keyboard.press("e")
    page.keyboard.type("!n")  # at once: no letter of a note is a verdict
    expect(note).to_have_value(re.compile("!n"))
    page.keyboard.press("Escape")
    eventually(lambda: feedback.current(fresh.id)[first].note.count("!n") == 1)
    assert feedback.current(fresh.id)[first].verdict == "confirmed"
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name=f"Row {first}")
    expect(drawer).to_contain_text("no key</b>")
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    assert page.evaluate("window.hacked") is None
    page.keyboard.press("j")
    expect(title(page)).to_have_text(f"Row {second}")


def test_alerts_are_assigned_by_keyboard_filtered_in_the_address_and_undone(console, fresh, visit):
    feedback = console.workspace.feedback
    page = open_triage(visit, fresh, "&is.groups=off")
    first, second = flagged(console.workspace, fresh).tolist()[:2]
    page.get_by_role("textbox", name="Your name").fill("Dana")
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("a")
    page.keyboard.type("Ann <b>yn")  # no letter of a name is a verdict
    page.keyboard.press("Enter")
    expect(said(page)).to_contain_text(f"Row {first} is assigned to Ann <b>yn.")
    page.keyboard.press("j")
    expect(title(page)).to_have_text(f"Row {second}")
    under_review(page).get_by_role("button", name="Assign to me").click()
    expect(said(page)).to_contain_text(f"Row {second} is assigned to Dana.")
    assigned = {row: (one.assignee, one.reviewer) for row, one in feedback.assigned(fresh.id).items()}
    assert assigned == {first: ("Ann <b>yn", "Dana"), second: ("Dana", "Dana")}
    assert feedback.current(fresh.id) == {}
    line = page.get_by_role("region", name="Alerts").locator("tbody tr").first
    expect(line.locator("td").last).to_have_text("Ann <b>yn")
    assert page.locator("datalist option").evaluate_all("all => all.map(one => one.value)")[:2] == ["Dana", "Ann <b>yn"]
    # Mine is found by the name that this browser keeps; the address keeps the filter.
    page.goto(f"/triage?run={fresh.id}&is.groups=off&is.assigned=mine")
    expect(title(page)).to_have_text(f"Row {second}")
    expect(page.get_by_role("region", name="Queue", exact=True)).to_contain_text("1 alert to judge")
    page.wait_for_function("window.wcTriage")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("z")
    expect(said(page)).to_contain_text("Undone: assignment, 1 row.")
    expect(under_review(page)).to_contain_text("The filters leave no alert.")
    page.goto(f"/triage?run={fresh.id}&is.groups=off&is.assigned=nobody")
    expect(title(page)).to_have_text(f"Row {second}")
    assert feedback.assigned(fresh.id).keys() == {first}


def test_a_group_is_judged_and_undone_as_one(console, fresh, visit):
    feedback = console.workspace.feedback
    page = open_triage(visit, fresh)
    expect(title(page)).to_have_text(f"Row {COPIES.start}")
    page.keyboard.press("g")
    members = page.get_by_role("region", name="Rows of the group")
    expect(members.locator("tbody tr")).to_have_count(len(COPIES))
    page.keyboard.press("n")
    expect(said(page)).to_contain_text(f"4 rows dismissed with row {COPIES.start}.")
    assert feedback.current(fresh.id).keys() == set(COPIES)
    tiles = page.get_by_role("region", name="Precision so far")
    expect(tiles).to_contain_text("0 confirmed, 4 dismissed")
    expect(tiles).to_contain_text("0 confirmed, 1 dismissed")
    under_review(page).get_by_role("button", name="Undo").click()
    expect(said(page)).to_contain_text("Undone: dismissed, 4 rows.")
    assert feedback.current(fresh.id) == {}


def test_two_reviewers_see_each_others_verdicts_and_undo_their_own(console, fresh, visit):
    ann, bob = open_triage(visit, fresh), open_triage(visit, fresh)
    for page, name in ((ann, "Ann <b>"), (bob, "Bob")):
        page.get_by_role("textbox", name="Your name").fill(name)
        page.get_by_role("textbox", name="Your name").blur()
    ann.keyboard.press("y")
    expect(said(ann)).to_contain_text("confirmed")
    queue = bob.get_by_role("region", name="Queue")
    expect(queue).to_contain_text("▲ confirmed")
    expect(queue).to_contain_text("Ann <b>")
    expect(said(bob)).to_contain_text("changed elsewhere, by Ann <b>")
    expect(title(bob)).to_have_text(f"Row {COPIES.start}")
    bob.keyboard.press("z")
    expect(said(bob)).to_contain_text("You have no verdict")
    assert console.workspace.feedback.current(fresh.id)[COPIES.start].reviewer == "Ann <b>"
    ann.reload()
    expect(ann.get_by_role("textbox", name="Your name")).to_have_value("Ann <b>")
    ann.keyboard.press("z")
    expect(queue).not_to_contain_text("▲ confirmed")


def test_the_queue_is_filtered_sorted_and_chosen_from_by_mouse(console, fresh, visit):
    workspace = console.workspace
    rows = flagged(workspace, fresh)
    judge_by_label(workspace, fresh, rows[:8])
    page = open_triage(visit, fresh, "&is.groups=off&is.state=new&is.values.service=HTTP")
    services = table()["service"]
    left = [row for row in rows[8:].tolist() if services[row] == "http"]
    queue = page.get_by_role("region", name="Queue")
    expect(queue).to_contain_text(f"{len(left)} alerts to judge")
    expect(title(page)).to_have_text(f"Row {left[0]}")
    queue.get_by_role("button", name=f"Row {left[1]}").click()
    expect(title(page)).to_have_text(f"Row {left[1]}")
    assert page.evaluate("document.activeElement.textContent").endswith(f"Row {left[1]}")
    page.keyboard.press("u")
    expect(queue).to_contain_text(f"{len(left) - 1} alerts to judge")
    page.get_by_role("combobox", name="Sort by").click()
    page.get_by_role("option", name="Expected cost").click()
    expect(page.get_by_role("spinbutton", name="Cost of a miss")).to_have_value("10")
    expect(under_review(page)).to_contain_text("Expected saving")
    page.wait_for_url(re.compile("is.order=saving"))


def test_a_threshold_is_proposed_from_verdicts_and_set_only_when_confirmed(console, fresh, visit):
    workspace = console.workspace
    rows = flagged(workspace, fresh)
    page = open_triage(visit, fresh)
    propose = page.get_by_role("button", name="Propose a threshold")
    region = page.get_by_role("region", name="Threshold from the verdicts")
    propose.click()
    expect(region).to_contain_text("There are 0 confirmed and 0 dismissed alerts above the old threshold")
    judge_by_label(workspace, fresh, rows)
    expect(said(page)).to_contain_text("changed elsewhere")
    verdicts = ["confirmed" if one == 1 else "dismissed" for one in workspace.scores(fresh.id).label[rows]]
    wanted = recalibrated_threshold(workspace.scores(fresh.id).score[rows], verdicts, fresh.threshold, 0.5)
    page.get_by_role("spinbutton", name="Target precision").fill("0.5")
    propose.click()
    expect(region).to_contain_text(f"{value(wanted.threshold, 6)}, {wanted.source}")
    expect(region).to_contain_text(wanted.bias)
    region.get_by_role("button", name="Apply this threshold").click()
    page.get_by_role("button", name="Keep it").click()
    assert workspace.runs.get(fresh.id).threshold == fresh.threshold
    region.get_by_role("button", name="Apply this threshold").click()
    page.get_by_role("button", name="Set it").click()
    left = int((workspace.scores(fresh.id).score[rows] > wanted.threshold).sum())
    expect(page.get_by_role("region", name="Queue")).to_contain_text(f"{left} flagged rows")
    now = workspace.runs.get(fresh.id)
    assert (now.threshold, now.threshold_source) == (wanted.threshold, wanted.source)
    expect(page.get_by_role("region", name="Honest evaluation")).to_contain_text("verdict")


def test_a_refit_is_queued_and_its_gain_is_shown(console, fresh, visit):
    workspace = console.workspace
    page = open_triage(visit, fresh)
    region = page.get_by_role("region", name="Learn from the verdicts")
    region.get_by_role("button", name="Fit with the verdicts").click()
    expect(region).to_contain_text("0 alerts are confirmed; at least 4 are needed")
    judge_by_label(workspace, fresh, flagged(workspace, fresh))
    region.get_by_role("button", name="Fit with the verdicts").click()
    expect(region).to_contain_text("deep-sad from the verdicts")
    console.wait()
    shown = region.get_by_role("table")
    expect(shown).to_be_visible()
    refit = next(one for one in workspace.runs.all() if one.request.verdicts == fresh.id)
    gain = refit_gain(workspace, fresh, refit)
    cells = shown.locator("tbody tr").first.locator("td").all_inner_texts()
    assert cells == [figure(gain.before), figure(gain.after), f"{gain.after - gain.before:+.3f}"]
    expect(shown).to_contain_text(f"On the same {len(gain.rows)} held-out verdicts")
    expect(region).to_contain_text("So few verdicts say little")


def test_a_key_of_the_screen_is_none_of_the_navigation():
    assert SCREEN.key not in "jkynuzeg"

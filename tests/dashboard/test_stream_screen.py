"""The screen Stream: totals are those of a race in Python, to full precision."""

import csv
import re

import pytest
from playwright.sync_api import expect
from tests.dashboard.accessibility import serious

from whitecrow.data.traffic_stream import TrafficStream
from whitecrow.metrics import Costs
from whitecrow.workspace.stream import LiveFile, Race, ReplaySource, SimulatedSource

FIGURES = ("tp", "fp", "fn", "tn", "alerts", "precision", "recall", "fpr")


@pytest.fixture
def stream(chromium, console, filled):
    """A function that opens the screen for the demo's runs."""
    contexts, errors = [], []

    def opened(fragment="", *, reduced="no-preference", runs=filled.runs):
        context = chromium.new_context(reduced_motion=reduced, base_url=console.base)
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.goto("/stream?" + "&".join(f"run={run.id}" for run in runs) + fragment)
        expect(page.locator("[data-wcs=standing]")).to_have_text("not started")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def shown(page, name):
    """Return the number behind a painted figure; NaN where there is none."""
    text = page.locator(f'[data-wcs="{name}"]').get_attribute("data-value")
    return float("nan") if text == "null" else float(text)


def stepped(page, n, total):
    """Step, and wait until so many records have been painted."""
    page.get_by_role("spinbutton", name="Records of a step").fill(str(n))
    page.get_by_role("button", name="Step").click()
    expect(page.locator("[data-wcs=position]")).to_have_attribute("data-value", str(total))


def assert_totals(page, standings, costs):
    """Compare what is painted with the standings of a race in Python."""
    for run, standing in standings.items():
        counts = standing.counts
        for name in FIGURES:
            expected = getattr(counts, name)
            expected = float("nan") if expected is None else expected
            assert shown(page, f"{run}.{name}") == pytest.approx(expected, abs=0, rel=0, nan_ok=True), (run, name)
        assert shown(page, f"{run}.cost") == pytest.approx(standing.money.cost, rel=1e-12)
        assert shown(page, f"{run}.nothing") == pytest.approx(standing.money.saved_against_nothing, rel=1e-12)
        assert shown(page, f"{run}.everything") == pytest.approx(standing.money.saved_against_everything, rel=1e-12)


def detectors(workspace, runs):
    return {run.id: workspace.detector(run.id) for run in runs}


def test_totals_are_those_of_a_race_in_python_and_come_again_after_a_rewind(stream, filled, console):
    page = stream("#seed=7&attack_rate=5&week_rows=1000")
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("7")
    costs = Costs(miss=10.0, false_alarm=1.0)
    source = SimulatedSource(TrafficStream(7, 0.05, week_rows=1000))
    race = Race(source, detectors(console.workspace, filled.runs), costs=costs)
    stepped(page, 1500, 1500)
    expected = race.step(1500)
    assert_totals(page, expected.standings, costs)
    first = filled.runs[0].id
    for family, (flagged, seen) in expected.standings[first].families.items():
        row = page.locator("[data-wcs=families] tbody tr").filter(has_text=family)
        expect(row.locator("td").nth(0)).to_have_text(f"{seen}")
        expect(row.locator("td").nth(1)).to_have_text(f"{flagged / seen:.3f} ({flagged})")
    assert page.locator("[data-wcs=records] tbody tr").count() == 20
    stepped(page, 500, 2000)
    again = race.step(500).standings
    assert_totals(page, again, costs)
    page.get_by_role("button", name="Rewind").click()
    expect(page.locator("[data-wcs=position]")).to_have_attribute("data-value", "0")
    stepped(page, 2000, 2000)
    assert_totals(page, again, costs)


def test_thresholds_and_costs_change_while_it_stands(stream, filled, console):
    page = stream("#week_rows=1000")
    run = filled.runs[0]
    stepped(page, 300, 300)
    page.get_by_role("spinbutton", name=re.compile(f"^Threshold of {run.number} ")).fill("-1")
    page.keyboard.press("Tab")
    page.locator("summary").filter(has_text=re.compile("^Costs$")).press("Enter")
    page.get_by_role("spinbutton", name="A miss").fill("40")
    page.keyboard.press("Tab")
    stepped(page, 200, 500)
    costs = Costs(miss=40.0, false_alarm=1.0)
    source = SimulatedSource(TrafficStream(0, 0.02, week_rows=1000))
    race = Race(source, detectors(console.workspace, filled.runs), costs=costs)
    race.step(300)
    race.set_threshold(run.id, -1.0)
    assert_totals(page, race.step(200).standings, costs)
    page.wait_for_url("**miss=40.0*")
    assert "#rate=" in page.url


def test_a_data_set_is_played_again_to_its_end(stream, filled, console):
    page = stream()
    page.get_by_role("combobox", name="Records from").select_option(filled.dataset.id)
    page.get_by_role("spinbutton", name="Records per second").fill("10000")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("[data-wcs=standing]")).to_have_text("at the end", timeout=20_000)
    expect(page.locator("[data-wcs=position]")).to_have_attribute("data-value", str(filled.dataset.rows))
    settings = filled.dataset.settings
    table = console.workspace.datasets.table(filled.dataset.id, settings)
    source = ReplaySource(table, label=settings.label, normal=settings.normal)
    costs = Costs(miss=10.0, false_alarm=1.0)
    race = Race(source, detectors(console.workspace, filled.runs), costs=costs)
    assert_totals(page, race.step(filled.dataset.rows).standings, costs)


def test_a_live_source_without_labels_shows_alerts_and_greys_what_needs_labels(stream, filled, console, tmp_path):
    rows = console.workspace.datasets.table(filled.dataset.id, filled.dataset.settings)
    lines = rows.drop(filled.dataset.settings.label).write_csv().splitlines(keepends=True)
    log = tmp_path / "log.csv"
    log.write_text("".join(lines[:100]))
    console.workspace.live.allow([LiveFile("firewall", log)])
    page = stream()
    page.get_by_role("combobox", name="Records from").select_option(label="Live: firewall")
    for name in ("Records per second", "Seed", "Rewind to record"):
        expect(page.get_by_role("spinbutton", name=re.compile(f"^{name}"))).to_be_disabled()
    expect(page.get_by_role("button", name="Rewind")).to_be_disabled()
    expect(page.get_by_text("A live source gives its records as they are written")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("[data-wcs=standing]")).to_have_text("waiting for records to be written")
    with log.open("a") as file:
        file.write("".join([*lines[100:400], "no record\n"]))
    expect(page.locator("[data-wcs=position]")).to_have_attribute("data-value", "300")
    expect(page.locator("[data-wcs=source]")).to_contain_text("1 line was no record")
    expect(page.get_by_text("No record so far has a label").first).to_be_visible()
    for run in filled.runs:
        alerts = int((console.workspace.scores(run.id).score[99:399] > run.threshold).sum())
        assert shown(page, f"{run.id}.alerts") == alerts
        assert shown(page, f"{run.id}.alert_rate") == alerts / 300
        expect(page.locator(f'[data-wcs="{run.id}.tp"]')).to_have_text("–")
        expect(page.locator(f'[data-wcs="{run.id}.cost"]')).to_have_text("–")
    assert "source=live%3Afirewall" in page.url
    console.workspace.live.allow([])


def test_records_are_painted_several_times_a_second_by_keys_alone(stream):
    """How fast it is where nothing else runs, the results of the benchmarks tell."""
    page = stream("#week_rows=1000")
    page.wait_for_timeout(500)  # until the page has been told of its keys
    page.keyboard.press("p")
    expect(page.locator("[data-wcs=standing]")).to_have_text("running")
    page.wait_for_timeout(3000)
    assert shown(page, "frames") >= 4
    assert shown(page, "speed") > 100
    page.keyboard.press("p")
    expect(page.locator("[data-wcs=standing]")).to_have_text("paused")
    page.wait_for_timeout(1000)  # frames that were on their way
    before = int(shown(page, "position"))
    page.keyboard.press(".")
    expect(page.locator("[data-wcs=position]")).to_have_attribute("data-value", str(before + 1))
    page.keyboard.press("b")
    expect(page.locator("[data-wcs=position]")).to_have_attribute("data-value", "0")


def test_records_are_held_against_alert_rules_only_where_that_is_ticked(stream, filled, console):
    run, alerting = filled.runs[0], console.workspace.alerting
    rule, _ = alerting.add(run.id, "score", -1e9)
    page = stream("#week_rows=1000&alert_rules=on")
    box = page.get_by_role("checkbox", name="Hold these records against the alert rules")
    expect(box).not_to_be_checked()
    stepped(page, 20, 20)
    alerting.wait()
    assert alerting.rules.get(rule.id).last_state is None
    box.check()
    expect(page.locator("[data-wcs=standing]")).to_have_text("stopped")
    stepped(page, 30, 30)
    alerting.wait()
    assert alerting.rules.get(rule.id).last_state == "delivered"
    with (console.workspace.folder / "alerts" / f"{rule.id}.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 30
    alerting.remove(rule.id)


def test_announcements_are_throttled_and_reduced_motion_is_honoured(stream):
    page = stream("#week_rows=1000", reduced="reduce")
    page.evaluate(
        """() => {
          window.said = 0;
          const live = document.querySelector("[data-wcs=live]");
          new MutationObserver(() => { window.said += 1; }).observe(live, { childList: true, characterData: true });
        }"""
    )
    page.get_by_role("button", name="Start").click()
    page.wait_for_timeout(2500)
    assert page.evaluate("window.said") <= 1
    assert shown(page, "frames") <= 5
    expect(page.locator("[data-wcs=live]")).to_contain_text("recall")


def test_what_the_server_refuses_is_said(stream, filled):
    page = stream()
    page.get_by_role("spinbutton", name="Seed").fill("-1")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("[data-wcs=alert]")).to_contain_text("Seed")
    expect(page.get_by_role("spinbutton", name="Seed")).to_be_focused()


def test_a_name_with_markup_is_shown_as_text_while_records_are_painted(stream, filled, console):
    hostile = "<img src=x onerror=window.hacked=1>"
    run = filled.runs[2]
    console.workspace.runs.rename(run.id, hostile)
    page = stream("#week_rows=1000")
    stepped(page, 50, 50)
    expect(page.locator("[data-wcs=records]").get_by_role("columnheader", name=hostile)).to_be_visible()
    assert page.evaluate("window.hacked") is None
    console.workspace.runs.rename(run.id, run.name)


def test_axe_finds_nothing_serious_while_records_are_shown(stream):
    page = stream("#week_rows=1000", reduced="reduce")
    stepped(page, 200, 200)
    assert serious(page) == []
    for width in (640, 320):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width

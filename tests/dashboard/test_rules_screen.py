"""The screen of alert rules in a browser."""

import csv

import pytest
from playwright.sync_api import expect
from tests.dashboard.accessibility import serious
from tests.workspace.test_alert_rules import Receiver

HOSTILE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture
def receiver(console):
    made = Receiver()
    console.workspace.alerting.allow(["localhost"])
    yield made
    made.server.shutdown()
    made.server.server_close()
    console.workspace.alerting.allow([])
    for rule in console.workspace.alerting.rules.all():
        console.workspace.alerting.remove(rule.id)


def choose(page, field, option):
    page.get_by_role("combobox", name=field).click()
    page.get_by_role("option", name=option).click()


def test_a_webhook_is_added_tested_and_deleted_and_its_failure_is_seen(filled, console, visit, receiver):
    page = visit(f"/rules?run={filled.runs[0].id}")
    page.get_by_label("Name (may be empty)").fill(HOSTILE)
    page.get_by_label("Value", exact=True).fill("1.5")
    choose(page, "What is done", "Send to a webhook")
    expect(page.locator("p", has_text="Hosts that webhooks may reach: localhost.")).to_be_visible()
    page.get_by_label("Address of the webhook").fill(receiver.url)
    page.get_by_role("button", name="Add the rule").click()
    dialog = page.get_by_role("dialog", name="Secret of the rule")
    secret = dialog.locator("[data-wc-secret]").inner_text()
    (rule,) = console.workspace.alerting.rules.all()
    assert secret == console.workspace.alerting.rules.secret(rule.id)
    assert (rule.run, rule.value, rule.url) == (filled.runs[0].id, 1.5, receiver.url)
    dialog.get_by_role("button", name="I have kept it").click()
    expect(dialog).to_have_count(0)
    table = page.get_by_role("region", name="Alert rules")
    expect(table).to_contain_text(HOSTILE)
    assert secret not in page.content()
    page.reload()
    expect(table).to_contain_text(HOSTILE)
    assert secret not in page.content()
    receiver.statuses = [404]
    table.get_by_role("button", name="Test").click()
    expect(table).to_contain_text("✕ failed")
    expect(page.get_by_role("alert").first).to_contain_text("Answered 404.")
    table.get_by_role("button", name="Test").click()
    expect(table).to_contain_text("✓ delivered")
    assert page.evaluate("window.hacked") is None
    table.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("There are none yet.")).to_be_visible()
    assert console.workspace.alerting.rules.all() == []


def test_a_host_that_is_not_allowed_is_refused_with_the_remedy(filled, console, visit, receiver):
    console.workspace.alerting.allow([])
    page = visit("/rules")
    choose(page, "What is done", "Send to a webhook")
    page.get_by_label("Address of the webhook").fill(receiver.url)
    page.get_by_role("button", name="Add the rule").click()
    expect(page.get_by_role("alert").first).to_contain_text("--allow-webhook localhost")
    assert console.workspace.alerting.rules.all() == []


def test_a_file_takes_the_records_that_are_scored_and_axe_finds_nothing_serious(filled, console, visit, receiver):
    run, workspace = filled.runs[0], console.workspace
    rule, _ = workspace.alerting.add(run.id, "count", 2, seconds=60.0)
    page = visit("/rules")
    address = f"{console.base}/api/runs/{run.id}/score"
    scores = workspace.scores(run.id).score
    top = [int(k) for k in scores.argsort()[-2:]]
    assert (scores[top] > run.threshold).all()
    rows = workspace.rows(run.id)[top].drop("label").write_csv()
    answer = page.request.post(address, data=rows.encode(), headers={"Content-Type": "text/csv"})
    assert answer.ok, answer.text()
    workspace.alerting.wait()
    with (workspace.folder / "alerts" / f"{rule.id}.csv").open(encoding="utf-8", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("region", name="Alert rules")).to_contain_text(f"Appended to alerts/{rule.id}.csv")
    assert serious(page) == []

"""The Lab in a browser: a detector is trained and followed, and its epochs are gone through."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from tests.dashboard.accessibility import serious

from whitecrow.dashboard.formats import figure, value
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule

SPLIT = SplitRule("random", share=0.3, injected=0.01)
HOSTILE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def lab(console):
    """A watched run of six epochs with three latent units, and another seed of it."""
    from whitecrow.workspace.demo import fill_with_demo

    dataset = fill_with_demo(console.workspace).dataset
    request = FitRequest(
        dataset.id, "autoencoder", {"epochs": 6, "latent_dim": 3}, split=SPLIT, watch=True, name=HOSTILE
    )
    runs = [console.workspace.jobs.submit(request)]
    runs.append(console.workspace.jobs.submit(FitRequest.of({**request.document(), "seed": 1, "name": "second"})))
    console.wait()
    return [console.workspace.runs.get(run.id) for run in runs]


def expected(seen) -> dict[str, str]:
    """Return the figures of an epoch as the screen should show them, from the counts that were stored."""
    rows, flagged = seen["rows"], seen["flagged"]
    tp, fp = flagged["anomaly"], flagged["normal"]
    return {
        "AUROC": figure(seen["auroc"]),
        "Average precision": figure(seen["average_precision"]),
        "Threshold": value(seen["threshold"]),
        "Precision": figure(tp / (tp + fp) if tp + fp else None),
        "Recall": figure(tp / rows["anomaly"]),
        "False-positive rate": figure(fp / rows["normal"]),
    }


def shows(page, epoch) -> None:
    """Wait until the page stands at an epoch, and check its figures and captions."""
    expect(page.locator("p").filter(has_text=re.compile(rf"^Epoch {epoch.place + 1} of"))).to_be_visible()
    for name, text in expected(epoch.seen).items():
        tile = page.locator(".wc-figure").filter(has=page.get_by_text(name, exact=True))
        expect(tile.locator(".wc-big")).to_have_text(text)
    expect(page.get_by_text(f"AUROC {figure(epoch.seen['auroc'], 4)}; chance is 0.5.")).to_be_visible()


def series(page, name) -> dict[str, list]:
    """Return the points of each series of a chart, as they are painted."""
    chart = page.locator("figure").filter(has=page.get_by_role("heading", name=name)).locator(".nicegui-echart")
    chart.wait_for()
    found = chart.evaluate("(e) => getElement(Number(e.id.slice(1))).chart.getOption().series")
    return {one["name"]: one["data"] for one in found}


def slider(page):
    return page.get_by_role("slider", name="Epoch")


def test_a_detector_is_composed_trained_and_followed_to_its_end(console, lab, visit):
    page = visit("/lab")
    page.get_by_label("Share of anomalies in training").fill("0.3")
    page.get_by_role("textbox", name="epochs", exact=True).fill("12")
    page.get_by_role("textbox", name="hidden_dims", exact=True).fill("9")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".wc-alert").filter(has_text="The largest share here is")).to_be_visible()
    page.get_by_label("Share of anomalies in training").fill("0.01")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(re.compile(r"run=[0-9a-f]{12}"))
    key = parse_qs(urlsplit(page.url).query)["run"][0]
    request = console.workspace.runs.get(key).request
    assert request.watch
    assert request.split.injected == 0.01
    assert request.parameters == {"hidden_dims": [9], "epochs": 12}
    # The charts come while it trains, and stay at the newest epoch until its end.
    expect(page.get_by_role("img", name=re.compile("^Scores of both classes"))).to_be_visible()
    console.wait()
    expect(page.locator(".wc-card-head .wc-state").first).to_contain_text("done")
    shows(page, console.workspace.runs.epochs(key)[-1])
    assert "epoch=" not in page.url
    console.workspace.runs.remove(key)


def test_scrubbing_shows_the_figures_that_were_stored_and_a_link_shows_them_again(console, lab, visit):
    epochs = console.workspace.runs.epochs(lab[0].id)
    assert len({one.seen["auroc"] for one in epochs}) > 1
    page = visit(f"/lab?run={lab[0].id}")
    shows(page, epochs[-1])
    expect(page.get_by_role("heading", level=2, name=HOSTILE)).to_be_visible()
    slider(page).fill("1")
    shows(page, epochs[1])
    page.wait_for_url(re.compile(r"epoch=2"))
    below = page.get_by_role("img", name=re.compile("^Scores of both classes"))
    found = epochs[1].seen
    expect(below).to_have_accessible_name(
        re.compile(f"{found['flagged']['anomaly']:,} of {found['rows']['anomaly']:,} anom")
    )
    page.get_by_role("button", name="Next epoch").click()
    shows(page, epochs[2])
    assert series(page, "ROC curve")["ROC"] == epochs[2].seen["roc"]
    assert series(page, "Latent codes")["Anomaly"] == epochs[2].seen["codes"]["anomaly"]
    again = visit(page.url)
    shows(again, epochs[2])
    expect(slider(again)).to_have_value("2")
    assert page.evaluate("window.hacked") is None


def test_tables_hold_what_the_charts_show(console, lab, visit):
    epoch = console.workspace.runs.epochs(lab[0].id)[2]
    page = visit(f"/lab?run={lab[0].id}&epoch=3")
    figure_of = page.locator("figure").filter(has_text="Scores of both classes")
    figure_of.get_by_text("Show as table").click()
    cells = figure_of.locator("tbody tr")
    bins = epoch.seen["histogram"]
    expect(cells).to_have_count(len(bins["normal"]))
    expect(cells.nth(0)).to_have_text(
        re.compile("".join(re.escape(t) for t in (value(bins["edges"][0]), value(bins["edges"][1]))))
    )
    table = cells.all()
    assert [row.locator("td").nth(1).inner_text() for row in table] == [str(n) for n in bins["normal"]]
    assert [row.locator("td").nth(2).inner_text() for row in table] == [str(n) for n in bins["anomaly"]]
    # An open table follows.
    page.get_by_role("button", name="Next epoch").click()
    bins = console.workspace.runs.epochs(lab[0].id)[3].seen["histogram"]
    expect(cells.nth(0).locator("th")).to_have_text(value(bins["edges"][0]))


def test_the_epochs_are_gone_through_by_keyboard_alone(console, lab, visit):
    epochs = console.workspace.runs.epochs(lab[0].id)
    page = visit(f"/lab?run={lab[0].id}&epoch=2")
    shows(page, epochs[1])
    page.keyboard.press(".")
    shows(page, epochs[2])
    page.keyboard.press(",")
    page.keyboard.press(",")
    shows(page, epochs[0])
    slider(page).focus()
    page.keyboard.press("End")
    shows(page, epochs[-1])
    page.keyboard.press("ArrowLeft")
    shows(page, epochs[-2])
    expect(slider(page)).to_have_attribute("aria-valuetext", re.compile("^Epoch 5 of 6"))


def test_a_replay_plays_to_the_end_and_is_stopped(console, lab, visit):
    epochs = console.workspace.runs.epochs(lab[0].id)
    page = visit(f"/lab?run={lab[0].id}&epoch=5")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    shows(page, epochs[-1])
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    # From the end it begins again; what little motion there is, is slow where that is wished.
    page.get_by_role("button", name="Play").click()
    shows(page, epochs[0])
    page.get_by_role("button", name="Stop").click()
    page.wait_for_url(re.compile(r"epoch=[12]"))


def test_another_run_is_laid_over_and_one_seed_is_no_ranking(console, lab, visit):
    page = visit(f"/lab?run={lab[0].id}")
    page.get_by_role("link", name=f"Lay over run {lab[1].number}").click()
    page.wait_for_url(re.compile(f"run={lab[0].id}&run={lab[1].id}"))
    expect(page.get_by_role("link", name=f"Take off run {lab[1].number}")).to_be_visible()
    for chart, one in (("Losses by epoch", "loss"), ("AUROC and average precision by epoch", "AUROC")):
        painted = series(page, chart)
        other = console.workspace.runs.epochs(lab[1].id)
        kept = [e.seen["measured"]["loss"] if one == "loss" else e.seen["auroc"] for e in other]
        assert painted[f"Run {lab[1].number}: {one}"] == [[k + 1, number] for k, number in enumerate(kept)]
    page.get_by_text("How this is measured").click()
    expect(page.get_by_text("This is one seed")).to_be_visible()
    expect(page.get_by_text("No label has a part in it")).to_be_visible()


def test_a_method_that_scores_only_at_its_end_says_so_and_shows_its_losses(console, lab, visit):
    key = console.workspace.jobs.submit(
        FitRequest(lab[0].dataset, "deep-hybrid", {"epochs": 2}, split=SPLIT, watch=True)
    ).id
    console.wait()
    page = visit(f"/lab?run={key}")
    expect(page.get_by_text("learns its score after the training")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Losses by epoch"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Scores of both classes"))).to_have_count(0)
    console.workspace.runs.remove(key)


def test_without_labels_no_figure_of_merit_is_shown(console, lab, visit):
    record = console.workspace.datasets.add(
        console.workspace.datasets.table(lab[0].dataset).drop("label").head(300),
        "No labels",
        settings=DatasetSettings(),
    )
    key = console.workspace.jobs.submit(FitRequest(record.id, "autoencoder", {"epochs": 2}, watch=True)).id
    console.wait()
    page = visit(f"/lab?run={key}")
    expect(page.locator(".wc-figure").filter(has_text="AUROC").locator(".wc-big")).to_have_text("–")
    expect(page.get_by_role("img", name=re.compile("^Scores"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^ROC"))).to_have_count(0)
    expect(page.locator("input[aria-label='Share of anomalies in training']")).to_be_disabled()
    console.workspace.runs.remove(key)
    console.workspace.datasets.remove(record.id)


def test_a_long_training_is_cancelled_and_what_was_seen_stays(console, lab, visit):
    request = FitRequest(lab[0].dataset, "autoencoder", {"epochs": 100_000}, split=SPLIT, watch=True)
    run = console.workspace.jobs.submit(request)
    page = visit(f"/lab?run={run.id}")
    expect(page.get_by_role("img", name=re.compile("^Losses by epoch"))).to_be_visible()
    page.get_by_role("button", name=f"Cancel run {run.number}").click()
    expect(page.get_by_text("This run is cancelled.")).to_be_visible()
    shows(page, console.workspace.runs.epochs(run.id, watched=True)[-1])
    console.workspace.runs.remove(run.id)


def test_axe_finds_nothing_serious_in_the_lab(lab, visit):
    page = visit(f"/lab?run={lab[0].id}&run={lab[1].id}")
    page.evaluate("document.querySelectorAll('details').forEach((one) => one.setAttribute('open', ''))")
    expect(page.locator("figure tbody tr").first).to_be_visible()
    assert serious(page) == []
    for width in (640, 320):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width

"""The timeline of the Explore screen in a browser: what the brush chooses is counted anew from the scores."""

import re
from urllib.parse import parse_qs, urlsplit

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect
from tests.dashboard.accessibility import serious

from whitecrow.dashboard.timeline_data import timeline
from whitecrow.dashboard.timeline_models import MOST_MODELS, model_lanes, runs_alike
from whitecrow.metrics.event_figures import event_figures
from whitecrow.metrics.influencers import influencers
from whitecrow.metrics.severity import BANDS, severity
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule

HOSTILE = "<img src=x onerror=window.hacked=1>"
OUTCOMES = ("tp", "fp", "fn", "tn", "alerts")


def opened(visit, run, query="", **options):
    """Open the screen for a run, and wait until threshold and brush are live."""
    page = visit(f"/explore?run={run.id}{query}", **options)
    page.locator("[data-ready=true]").wait_for(state="attached")
    page.locator("section[data-window]").wait_for()
    return page


def counted(workspace, run, window):
    """Return the outcomes of the rows in view within a window."""
    scores = workspace.scores(run.id)
    rows = scores.rows()
    if window is not None:
        rows = rows[(rows >= window[0]) & (rows <= window[1])]
    flag, label = scores.score[rows] > run.threshold, scores.label[rows]
    found = {name: int(((flag == f) & (label == y)).sum()) for name, f, y in (("tp", 1, 1), ("fp", 1, 0), ("fn", 0, 1))}
    return {**found, "tn": int((~flag & (label == 0)).sum()), "alerts": int(flag.sum())}, rows


def shows(page, wanted):
    for name in OUTCOMES:
        node = page.locator(f"[data-wct={name}]").first
        expect(node).to_have_attribute("data-value", str(wanted[name]), timeout=20_000)


def window_of(page):
    given = parse_qs(urlsplit(page.url).query)
    return int(given["first"][0]), int(given["last"][0])


def chart_of(page, name):
    return (
        f"[...document.querySelectorAll('figure.wc-chart')].find((f) => f.querySelector('h3').textContent === '{name}')"
    )


@pytest.fixture
def pca(filled):
    return next(run for run in filled.runs if run.detector == "pca")


def test_the_sliders_choose_a_window_by_keyboard_and_all_figures_keep_to_it(pca, console, visit):
    page = opened(visit, pca)
    workspace = console.workspace
    shows(page, counted(workspace, pca, None)[0])
    ends = timeline(workspace, pca.id, None).buckets(pca.threshold).ends
    slider = page.get_by_label("Window to")
    slider.focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowLeft")
    # At once: on a busy machine the answer to the first key would put the slider back until the second is answered.
    place = int(slider.input_value())
    page.wait_for_url(re.compile("first="))
    # Focus stays where it was, so that the next key goes on.
    assert page.evaluate("document.activeElement.dataset.wcTime") == "to"
    held = [one for one in ends[: place + 1] if one is not None]
    page.wait_for_url(re.compile(f"last={held[-1][1]}"))
    window = window_of(page)
    assert window == (held[0][0], held[-1][1])
    wanted, rows = counted(workspace, pca, window)
    shows(page, wanted)
    expect(page.locator("section", has=page.get_by_role("heading", name="Alerts", exact=True))).to_contain_text(
        f"{len(rows):,} rows"
    )
    expect(page.get_by_role("region", name="Window", exact=True)).to_contain_text(f"{window[0]:,} to {window[1]:,}")
    page.get_by_role("region", name="Timeline").get_by_role("button", name="Look at all rows").click()
    page.wait_for_function("!location.search.includes('first')")
    shows(page, counted(workspace, pca, None)[0])
    page.go_back()
    page.wait_for_url(re.compile(f"last={window[1]}"))
    shows(page, wanted)


def test_dragging_over_the_chart_chooses_its_stretch_and_the_table_and_histogram_follow(pca, console, visit):
    page = opened(visit, pca)
    picture = page.get_by_role("img", name="Scores in the window").locator("canvas")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=3)
    page.mouse.move(box["x"] + box["width"] * 0.7, y, steps=3)
    page.mouse.up()
    page.wait_for_url(re.compile("first="))
    window = window_of(page)
    wanted, rows = counted(console.workspace, pca, window)
    assert 0.15 < len(rows) / 1000 < 0.45
    shows(page, wanted)
    # The grid holds the highest score of the window first.
    scores = console.workspace.scores(pca.id).score
    first = page.locator(".ag-center-cols-container [row-index='0'] [col-id=c0]")
    expect(first).to_have_text(str(int(rows[np.argmax(scores[rows])])))
    histogram = page.locator("figure.wc-chart", has=page.get_by_role("heading", name="Scores by class"))
    histogram.locator("summary").click()
    cells = histogram.locator("tbody td:nth-child(n+3)").all_inner_texts()
    assert sum(int(cell.replace(",", "")) for cell in cells) == len(rows)


def test_lanes_events_and_influencers_are_those_of_the_window_and_survive_a_reload(pca, console, visit):
    workspace = console.workspace
    rows = workspace.scores(pca.id).rows()
    window = int(rows[200]), int(rows[699])
    page = opened(visit, pca, f"&first={window[0]}&last={window[1]}&lanes=service")
    page.reload()
    page.locator("section[data-window]").wait_for()
    line = timeline(workspace, pca.id, None)
    found = line.buckets(pca.threshold, window, workspace.rows(pca.id)["service"])
    bands = severity(line.reference, pca.threshold)
    wanted = [
        [x, y, int(bands.levels(lane.max_score)[x])]
        for y, lane in enumerate((found.overall, *found.lanes))
        for x in np.flatnonzero(lane.n_rows).tolist()
    ]
    script = f"getElement(Number({chart_of(page, 'Lanes')}.querySelector('.nicegui-echart').id.slice(1))).chart"
    page.wait_for_function(f"{script}?.getOption().series[0].data.length === {len(wanted)}")
    assert page.evaluate(f"{script}.getOption().series[0].data.map((d) => d.value.slice(0, 3))") == wanted
    places = line.inside(window)
    merits = event_figures(line.label[places], line.score[places], pca.threshold)
    card = page.get_by_role("region", name="Timeline")
    expect(card).to_contain_text(f"{merits.caught} of {merits.n_events} event")
    events = card.get_by_role("region", name="Figures of the window").locator("tbody tr").nth(1)
    expect(events).to_contain_text(f"{merits.events.recall:.3f}")
    table = workspace.rows(pca.id).drop("label", "timestamp")
    flags = np.zeros(table.height, dtype=bool)
    flags[line.rows[places]] = line.score[places] > pca.threshold
    others = np.zeros(table.height, dtype=bool)
    others[line.rows[line.score <= pca.threshold]] = True
    marks = influencers(table, flags, others)
    shown = card.get_by_role("region", name="Top influencers").locator("tbody th").all_inner_texts()
    assert shown == [one.column for one in marks]


def test_lanes_by_run_are_chosen_on_the_screen_and_come_back_from_the_address(pca, console, visit):
    alike = runs_alike(console.workspace, pca)[:MOST_MODELS]
    page = opened(visit, pca)
    card = page.get_by_role("region", name="Timeline")
    card.get_by_role("combobox", name="A lane for each").click()
    page.get_by_role("option", name="Run on this data set", exact=True).click()
    page.wait_for_url(re.compile("run=.*run=.*by=run"))
    # Alone, a lane would compare with nothing.
    expect(card).to_contain_text(f"One lane for each of {len(alike)} runs")
    expect(card.get_by_role("list", name="Bands of rarity")).to_contain_text("above all of them")
    rows = console.workspace.scores(pca.id).rows()
    window = int(rows[100]), int(rows[599])
    again = opened(visit, pca, f"&{urlsplit(page.url).query.partition('&')[2]}&first={window[0]}&last={window[1]}")
    line = timeline(console.workspace, pca.id, None)
    wanted = model_lanes(console.workspace, alike, line, window)
    chart = again.locator("figure.wc-chart", has=again.get_by_role("heading", name="Lanes"))
    chart.locator("summary").click()
    cells = sorted(
        (-one.percentile[k], y, k) for y, one in enumerate(wanted) for k in np.flatnonzero(one.lane.n_rows).tolist()
    )[:50]
    shown = [line.split("\t") for line in chart.locator("tbody tr").all_inner_texts()]
    assert [line[0] for line in shown] == [wanted[y].lane.name for _, y, _ in cells]
    for line, (_, y, k) in zip(shown, cells, strict=True):
        assert line[3] == BANDS[wanted[y].levels[k]]
        assert line[5:] == [f"{wanted[y].lane.flagged[k]:,}", f"{wanted[y].lane.n_rows[k]:,}"]


def test_the_timeline_follows_the_threshold(pca, console, visit):
    page = opened(visit, pca)
    threshold = float(np.quantile(console.workspace.scores(pca.id).score, 0.8))
    page.get_by_label("Value", exact=True).fill(repr(threshold))
    page.wait_for_url(re.compile("threshold="))
    n = int((timeline(console.workspace, pca.id, None).score > threshold).sum())
    expect(page.get_by_role("region", name="Timeline")).to_contain_text(f"with alerts, {n:,} in all")


def test_a_window_without_rows_is_said_and_left(pca, visit):
    page = opened(visit, pca, "&first=0&last=3")
    expect(page.get_by_role("alert").first).to_contain_text("no rows in view from row 0 to 3")
    assert "first=" not in page.url


@pytest.fixture(scope="module")
def odd(console):
    """A run on rows without a time, a third without a label, with markup in names and values."""
    rng = np.random.default_rng(1)
    n = 400
    strange = rng.random(n) < 0.1
    label = np.where(strange, "scan", "normal").astype(object)
    label[rng.random(n) < 0.3] = None
    table = pl.DataFrame(
        {
            "size": rng.normal(100, 10, n) + 40 * strange,
            HOSTILE: np.where(strange, "<script>window.hacked=1</script>", "{{7*7}}"),
            "label": label.tolist(),
        }
    )
    settings = DatasetSettings(label="label", normal=("normal",))
    dataset = console.workspace.datasets.add(table, "Odd <b>timeline</b>", settings=settings)
    request = FitRequest(dataset.id, "pca", {"contamination": 0.1}, split=SplitRule("order", 0.5))
    run = console.workspace.jobs.submit(request)
    console.wait()
    return console.workspace.runs.get(run.id)


def test_markup_in_lanes_is_text_and_axe_finds_nothing_serious(odd, visit):
    page = opened(visit, odd, "&lanes=%3Cimg+src%3Dx+onerror%3Dwindow.hacked%3D1%3E&first=200&last=399")
    card = page.get_by_role("region", name="Timeline")
    expect(card).to_contain_text(f"one for each value of {HOSTILE}")
    expect(card.get_by_role("region", name="Top influencers")).to_contain_text("<script>window.hacked=1</script>")
    assert page.evaluate("window.hacked") is None
    assert serious(page) == []
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320

"""Images and series in the console: brought, fitted, looked into, and drawn."""

import json
import re

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.dashboard.accessibility import serious

from whitecrow.core.errors import DataError
from whitecrow.dashboard.drawn import drawable_runs, drawn_sample, judge, subject_of
from whitecrow.dashboard.formats import value
from whitecrow.dashboard.pictures import png_address
from whitecrow.io import load
from whitecrow.workspace import DatasetSettings
from whitecrow.workspace.drawing_demo import fit_drawing_demo

HOSTILE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture
def demo(console):
    fit_drawing_demo(console.workspace)
    console.wait()
    found = fit_drawing_demo(console.workspace)
    assert (found.digits.state, found.beats.state) == ("done", "done")
    return found


def board(visit, run, **options):
    page = visit(f"/draw?run={run.id}", **options)
    page.locator("canvas[data-ready=true]").wait_for()
    return page


def shown(page, key="score"):
    """Return the number behind a painted figure, once there is one."""
    made = page.locator(f"[data-wcd={key}]")
    expect(made).not_to_have_attribute("data-value", "")
    return float(made.get_attribute("data-value"))


def settled(page):
    """Return what is drawn, once its own score is shown."""
    page.wait_for_timeout(250)
    return json.loads(page.locator("canvas.wc-board").get_attribute("data-values"))


def model_of(console, run):
    return load(console.workspace.runs.model_file(run.id, run.version))


def test_ink_becomes_values_of_the_data_set_and_nothing_else_is_taken(console, demo):
    found = {run.id: subject_of(console.workspace, run, data) for run, data in drawable_runs(console.workspace)}
    subject = found[demo.digits.id]
    ink = np.linspace(0, 1, 64)
    sample = drawn_sample(subject, ink.tolist())
    assert sample.shape == (1, 1, 8, 8)
    np.testing.assert_allclose(sample.ravel(), 16 * ink)
    for wrong in ([0.0] * 63, [float("nan")] * 64, "x", None, [[0.0] * 8] * 8):
        with pytest.raises(DataError, match="Draw it again"):
            drawn_sample(subject, wrong)
    points = np.sin(np.arange(140) / 9)
    judged = judge(console.workspace, found[demo.beats.id], points.tolist())
    model = model_of(console, demo.beats)
    assert judged.reasons.score == model.anomaly_score(points[None, :, None])[0]
    assert judged.flag == model.is_anomaly(points[None, :, None])[0]


def test_a_png_holds_the_pixels_that_it_was_given():
    image = pytest.importorskip("PIL.Image", reason="the image extra is not installed")
    from base64 import b64decode
    from io import BytesIO

    rng = np.random.default_rng(0)
    for shape in ((5, 7), (5, 7, 3), (5, 7, 4)):
        pixels = rng.integers(0, 256, shape) / 255
        data = b64decode(png_address(pixels).removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(np.asarray(image.open(BytesIO(data))), np.round(pixels * 255))


def test_detectors_are_fitted_by_one_click_and_an_example_is_judged_as_its_record_is(emptied, visit):
    page = visit("/draw")
    page.get_by_role("button", name="Fit the drawing detectors").click()
    page.locator("canvas[data-ready=true]").wait_for(timeout=60_000)
    demo = fit_drawing_demo(emptied.workspace)
    page.get_by_role("combobox", name="Class").click()
    page.get_by_role("option", name="9", exact=True).click()
    picks = page.get_by_role("button", name=re.compile(r"^Load image \d+, 9$"))
    expect(picks).to_have_count(24)
    row = int(re.search(r"image (\d+)", picks.nth(2).get_attribute("aria-label"))[1])
    picks.nth(2).click()
    assert shown(page) == emptied.workspace.scores(demo.digits.id).score[row]
    assert shown(page, "p") == emptied.workspace.scores(demo.digits.id).p_value[row]
    expect(page.get_by_role("heading", name="Nearest normal images")).to_be_visible()
    expect(page.get_by_role("img", name="As the method rebuilds it")).to_be_visible()
    assert serious(page) == []


def test_a_digit_drawn_by_mouse_and_keys_scores_to_the_last_digit(console, demo, visit):
    page = board(visit, demo.digits)
    canvas = page.locator("canvas.wc-board")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.9 * box["height"], steps=8)
    page.mouse.up()
    shown(page)
    ink = np.array(settled(page))
    # The pen is 1.6 cells wide, in quarters of a cell: of a line between two columns 3 of 4 quarters lie in each.
    assert (ink.reshape(8, 8)[1:7, 3:5] == 0.75).all()
    assert ink.reshape(8, 8)[:, :2].max() == 0
    model = model_of(console, demo.digits)
    assert shown(page) == model.anomaly_score((16 * ink).reshape(1, 8, 8))[0]
    canvas.focus()
    page.keyboard.press("Home")
    for key in ("ArrowUp", "ArrowUp", " "):
        page.keyboard.press(key)
    expect(page.locator("[data-wcd=cursor]")).to_have_text("Row 3, column 1: 100 % inked")
    more = np.array(settled(page))
    assert more[16] == 1
    assert np.delete(more, 16).tolist() == np.delete(ink, 16).tolist()
    score = model.anomaly_score((16 * more).reshape(1, 8, 8))[0]
    assert shown(page) == score
    verdict = "▲ anomalous" if score > demo.digits.threshold else "○ normal"
    expect(page.locator("[data-wcd=verdict]")).to_have_text(verdict)
    slider = page.get_by_label("Opacity of the map")
    slider.fill("20")
    opacity = "getComputedStyle(document.querySelector('.wc-heat-map')).opacity"
    assert page.evaluate(opacity) == "0.2"
    page.get_by_role("button", name="Clear the board").click()
    expect(page.locator("[data-wcd=score]")).to_have_attribute("data-value", "")


def test_a_heartbeat_is_drawn_its_gaps_are_filled_and_points_move_by_keys(console, demo, visit):
    page = board(visit, demo.beats, dark=True, width=640)
    canvas = page.locator("canvas.wc-board")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.7 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.2 * box["height"], steps=5)
    page.mouse.up()
    shown(page)
    points = np.array(settled(page))
    assert points.shape == (140,)
    assert np.unique(points[:40]).size == 1  # filled on level
    assert (np.diff(points[45:80]) > 0).all()
    expect(page.locator("[data-wcd=sentence]")).to_contain_text("points were not drawn")
    model = model_of(console, demo.beats)
    assert shown(page) == model.anomaly_score(points[None, :, None])[0]
    canvas.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    raised = np.array(settled(page))
    assert raised[0] > points[0]
    assert shown(page) == model.anomaly_score(raised[None, :, None])[0]
    expect(page.get_by_role("img", name=re.compile("^Observed and expected"))).to_be_visible()
    expect(page.get_by_text("Show as table")).to_be_visible()
    assert serious(page) == []


def test_the_drawer_shows_the_map_of_an_image_and_the_difference_of_a_sequence(console, demo, visit):
    page = visit(f"/explore?run={demo.digits.id}&record=9")
    dialog = page.get_by_role("dialog", name="Row 9")
    why = console.workspace.explain_sample(demo.digits.id, 9)
    expect(dialog.locator("[data-wc=sentence]")).to_have_text(why.text)
    address = dialog.get_by_role("img", name="The image as the detector sees it").get_attribute("src")
    assert address == png_address(why.image)
    assert dialog.get_by_role("img", name=re.compile("^Normal image")).count() == 5
    assert dialog.get_by_role("img", name="As the method rebuilds it").get_attribute("src") == png_address(why.rebuilt)
    expect(dialog.get_by_text("Method: the method's own scores by pixel")).to_be_visible()
    assert serious(page) == []
    page = visit(f"/explore?run={demo.beats.id}&record=4")
    dialog = page.get_by_role("dialog", name="Row 4")
    why = console.workspace.explain_sample(demo.beats.id, 4)
    expect(dialog.locator("[data-wc=sentence]")).to_have_text(why.text)
    dialog.get_by_text("Show as table").first.click()
    cells = dialog.get_by_role("region", name="Numbers behind the chart").first.locator("tbody tr").first
    expected = [value(float(why.observed[0, 0])), value(float(why.expected[0, 0]))]
    assert [one.inner_text() for one in cells.locator("td").all()][:2] == expected


def test_images_are_brought_in_the_page_and_markup_in_labels_is_text(console, visit, tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "<b>mine.npz"
    labels = np.where(np.arange(60) % 6 == 0, HOSTILE, "normal")
    np.savez(file, X=rng.integers(0, 255, (60, 5, 5)).astype(np.uint8), y=labels)
    page = visit("/data")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator(".wc-alert")).to_contain_text("neither named")
    page.get_by_role("combobox", name="What it holds").click()
    page.get_by_role("option", name="Images").click()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_role("heading", name="mine.npz")).to_be_visible()
    record = console.workspace.datasets.all()[0]
    assert (record.kind, record.shape, record.settings) == ("image", (1, 5, 5), DatasetSettings(label="label"))
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.evaluate("window.hacked") is None
    page.get_by_role("combobox", name="Detector").click()
    expect(page.get_by_role("option", name="conv-autoencoder", exact=True)).to_be_visible()
    offered = page.get_by_role("option").all_inner_texts()
    assert not {"isolation-forest", "sub-pca"} & set(offered)
    page.get_by_role("option", name="pca", exact=True).click()
    page.get_by_role("button", name="Start the fit").click()
    page.wait_for_url(re.compile(r"/runs\?run="))
    console.wait()
    run = console.workspace.runs.all()[0]
    assert run.state == "done", run.error
    page = visit(f"/explore?run={run.id}")
    expect(page.get_by_role("region", name="Alerts").get_by_text(HOSTILE).first).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_archives_that_would_do_harm_are_refused_in_the_page(console, visit, tmp_path):
    file = tmp_path / "a.npz"
    np.savez(file, X=np.array([{}], dtype=object))
    before = len(console.workspace.datasets.all())
    page = visit("/data")
    page.get_by_role("combobox", name="What it holds").click()
    page.get_by_role("option", name="Series").click()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator(".wc-alert")).to_contain_text("without objects")
    assert len(console.workspace.datasets.all()) == before

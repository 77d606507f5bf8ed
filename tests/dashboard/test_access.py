"""The console for everybody: by keyboard, magnified, in either theme, and by the rules of axe."""

import re

import pytest
from playwright.sync_api import expect
from tests.dashboard.accessibility import serious

from whitecrow.dashboard.screens import SCREENS


def address(screen, filled) -> str:
    query = f"?dataset={filled.dataset.id}" if screen.path == "/data" else f"?run={filled.runs[0].id}"
    return screen.path + query


def small_targets(page) -> list[str]:
    """Return what can be clicked and is less than 24 pixels wide or high."""
    return page.evaluate(
        """() => [...document.querySelectorAll("button, .wc-nav a, .wc-button, summary, .q-checkbox, [type=file]")]
        .filter((e) => e.checkVisibility() && !e.closest(".ag-root-wrapper"))
        .map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 120)])
        .filter(([box]) => box.width && (box.width < 24 || box.height < 24)).map(([, html]) => html)"""
    )


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.title)
def test_axe_finds_nothing_serious_targets_are_large_and_nothing_is_cut_off(screen, filled, visit):
    page = visit(address(screen, filled))
    assert serious(page) == []
    assert small_targets(page) == []
    # 1280 pixels at 200 % are 640, and WCAG 1.4.10 asks for 320.
    for width in (640, 320):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", ["/explore", "/compare", "/triage"])
def test_axe_finds_nothing_serious_with_the_record_drawer_open(path, filled, console, visit):
    run = filled.runs[0]
    scores = console.workspace.scores(run.id)
    tested = scores.rows()
    row = int(tested[scores.score[tested].argmax()])
    page = visit(f"{path}?run={run.id}&run={filled.runs[2].id}&record={row}")
    drawer = page.get_by_role("dialog", name=f"Row {row}")
    expect(drawer.get_by_role("heading", name="Nearest normal rows")).to_be_visible()
    assert serious(page) == []


def test_the_first_key_reaches_the_content(filled, visit):
    page = visit("/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.querySelector('h1') !== null")


def test_what_has_the_focus_is_outlined(filled, visit):
    page = visit("/runs")
    for _ in range(6):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outline")
        assert "solid 3px" in outline


def test_keys_go_to_screens_and_are_listed(filled, visit):
    page = visit("/")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    for screen in SCREENS:
        expect(dialog).to_contain_text(f"Go to {screen.title}")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("r")
    page.wait_for_url(re.compile("/runs"))


def test_links_and_keys_of_the_navigation_hand_over_what_is_chosen_now(filled, visit):
    first, second = (run.id for run in filled.runs[:2])
    page = visit(f"/compare?run={first}")
    page.get_by_role("checkbox", name=f"Compare run {filled.runs[1].number}").press("Space")
    link = page.get_by_role("navigation", name="Screens").get_by_role("link", name="Stream", exact=True)
    expect(link).to_have_attribute("href", re.compile(f"run={first}&run={second}"))
    page.locator(".wc-main[aria-busy=false]").wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('.nicegui-echart')].every((one) => one.querySelector('canvas, svg'))"
    )
    page.go_back()
    expect(link).to_have_attribute("href", re.compile(f"run={first}$"))
    page.keyboard.press("t")
    page.wait_for_url(re.compile(f"/triage.*run={first}$"))


def test_keys_do_nothing_while_a_field_has_the_focus(filled, visit):
    page = visit(f"/data?dataset={filled.dataset.id}")
    page.get_by_role("textbox", name="Name of the run").press_sequentially("or")
    expect(page.get_by_role("textbox", name="Name of the run")).to_have_value("or")
    assert "/data" in page.url


def test_the_theme_follows_the_preference_until_it_is_chosen_and_is_kept(filled, visit):
    page = visit("/", dark=True)
    theme = page.locator("html")
    expect(theme).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Dark").click()
    expect(theme).to_have_attribute("data-theme", "light")
    page.reload()
    expect(theme).to_have_attribute("data-theme", "light")
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "false")

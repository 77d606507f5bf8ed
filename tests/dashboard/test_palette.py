"""Contrast and distinctness of the colours."""

import re
from importlib.resources import files
from itertools import combinations

import pytest

from whitecrow.dashboard.palette import (
    DARK,
    LIGHT,
    OKABE_ITO,
    SERIES,
    contrast,
    custom_properties,
    series_style,
)

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
TEXT, GRAPHIC = 4.5, 3.0  # WCAG 2.2 AA: 1.4.3 and 1.4.11


def test_contrast_is_that_of_the_standard():
    assert contrast("#FFFFFF", "#FFFFFF") == 1
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    # Worked by hand from the definition of relative luminance.
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.005)
    assert contrast("#FF0000", "#FFFFFF") == pytest.approx(4.0, abs=0.005)


@THEMES
def test_text_can_be_read_on_every_background(theme):
    for background in (theme.page, theme.surface, theme.raised):
        for text in (theme.text, theme.muted, theme.accent, theme.good, theme.bad):
            assert contrast(text, background) >= TEXT
    assert contrast(theme.on_accent, theme.accent) >= TEXT
    assert contrast(theme.on_warning, theme.warning) >= TEXT


@THEMES
def test_controls_and_marks_stand_out(theme):
    for background in (theme.page, theme.surface, theme.raised):
        assert contrast(theme.control, background) >= GRAPHIC
    for mark in (theme.normal, theme.anomaly):
        assert contrast(mark, theme.surface) >= GRAPHIC


def test_curves_stand_out_in_both_themes():
    for series in SERIES:
        assert contrast(series.light, LIGHT.surface) >= GRAPHIC
        assert contrast(series.dark, DARK.surface) >= GRAPHIC


def test_curves_differ_by_dash_and_by_marker():
    for one, other in combinations(SERIES, 2):
        assert one.dash != other.dash
        assert one.marker != other.marker


def test_no_two_of_thirty_curves_look_alike():
    assert len({series_style(k) for k in range(30)}) == 30


def test_the_classes_are_blue_and_vermillion():
    assert LIGHT.normal == OKABE_ITO["blue"]
    assert LIGHT.anomaly == OKABE_ITO["vermillion"]
    assert DARK.normal == OKABE_ITO["sky blue"]


def test_style_sheets_use_only_colours_of_the_palette():
    sheet = files("whitecrow.dashboard").joinpath("static/theme.css").read_text()
    screen = sheet[: sheet.index("@media print")]
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", screen)
    used = set(re.findall(r"var\((--wc-[a-z0-9-]+)", sheet)) - {
        "--wc-radius",
        "--wc-gap",
        "--wc-height",
        "--wc-side",
        "--wc-opacity",
    }
    assert used <= set(re.findall(r"(--wc-[a-z0-9-]+):", custom_properties()))

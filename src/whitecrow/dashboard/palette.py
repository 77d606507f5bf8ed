"""Colours of the console, light and dark: Okabe and Ito's, which colour-blind readers tell apart.

No meaning is carried by hue alone: what has a colour here has a dash, a marker or a word beside it. Charts take their
colours from :data:`SERIES`; style sheets from the custom properties of :func:`custom_properties`, which this module is
the only source of.

References
----------
.. [1] M. Okabe and K. Ito, "Color Universal Design: How to make figures and presentations that are friendly to
   colorblind people", 2008.
"""

from typing import NamedTuple

__all__ = ["DARK", "LIGHT", "OKABE_ITO", "SERIES", "Series", "Theme", "contrast", "custom_properties", "series_style"]

OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky blue": "#56B4E9",
    "bluish green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "reddish purple": "#CC79A7",
}
"""The eight colours by name."""


class Theme(NamedTuple):
    """Colours of one theme, each as ``#RRGGBB``.

    Parameters
    ----------
    page, surface, raised : str
        Backgrounds: of the page, of cards, of what lies on cards.
    text, muted : str
        Text, and text of less weight; both keep 4.5:1 on every background.
    line, control : str
        Lines that part, and edges of controls (3:1 against backgrounds).
    accent, on_accent : str
        Links, buttons and focus; the text on them.
    normal, anomaly : str
        The two classes (3:1 against ``surface``).
    warning, on_warning : str
        Background of what needs attention; the text on it.
    good : str
        What went well; 4.5:1 on surfaces.
    bad : str
        What failed; 4.5:1 on surfaces. Always with a word or a symbol.
    """

    page: str
    surface: str
    raised: str
    text: str
    muted: str
    line: str
    control: str
    accent: str
    on_accent: str
    normal: str
    anomaly: str
    warning: str
    on_warning: str
    good: str
    bad: str


LIGHT = Theme(
    page="#F4F6F8", surface="#FFFFFF", raised="#EDF1F5", text="#14202B", muted="#4A5966", line="#D5DDE4",
    control="#71808D", accent="#005C91", on_accent="#FFFFFF", normal="#0072B2", anomaly="#D55E00",
    warning="#FFF3D6", on_warning="#4F3600", good="#00694D", bad="#A84300",
)  # fmt: skip
DARK = Theme(
    page="#0F161C", surface="#182129", raised="#222E38", text="#E8EEF3", muted="#A9B8C4", line="#33424F",
    control="#7B8C9A", accent="#7CC6F2", on_accent="#0B1A26", normal="#56B4E9", anomaly="#F08A3C",
    warning="#3A2E10", on_warning="#FFE3A3", good="#4CCBA3", bad="#FFA466",
)  # fmt: skip


class Series(NamedTuple):
    """How one of several curves is drawn: hue in either theme, dash and marker of ECharts."""

    light: str
    dark: str
    dash: str | tuple[int, ...]
    marker: str


SERIES = (
    Series("#0072B2", "#56B4E9", "solid", "circle"),
    Series("#C25400", "#F08A3C", (8, 4), "rect"),
    Series("#00805D", "#3FC79D", (2, 3), "triangle"),
    Series("#A8558A", "#E29BC4", (10, 3, 2, 3), "diamond"),
    Series("#8A6200", "#F0C244", (4, 2), "arrow"),
    Series("#14202B", "#E8EEF3", (12, 4, 2, 4, 2, 4), "pin"),
)
"""Curves of a chart in order; hues are Okabe and Ito's, darkened or lightened to 3:1 against the surface."""


def series_style(index: int) -> Series:
    """Return how the curve of this number, from 0, is drawn; past the sixth the hues begin again with other dashes."""
    hue = SERIES[index % len(SERIES)]
    turn = index // len(SERIES)
    if not turn:
        return hue
    # Other pairs of dash and marker for every hue, as often as there are curves.
    shape = SERIES[(index + turn) % len(SERIES)]
    return hue._replace(dash=shape.dash, marker=shape.marker)


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours by WCAG 2.2, from 1 to 21.

    >>> round(contrast("#000000", "#FFFFFF"), 3)
    21.0
    """
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def custom_properties() -> str:
    """Return the style sheet that defines ``--wc-NAME`` for every colour, in both themes."""
    blocks = []
    for selector, theme, column in ((":root", LIGHT, 0), (":root[data-theme=dark]", DARK, 1)):
        colours = {name.replace("_", "-"): colour for name, colour in theme._asdict().items()}
        colours |= {f"series-{k}": series[column] for k, series in enumerate(SERIES)}
        scheme = "light" if theme is LIGHT else "dark"
        rules = "".join(f"--wc-{name}:{colour};" for name, colour in colours.items())
        blocks.append(f"{selector}{{color-scheme:{scheme};{rules}}}")
    return "\n".join(blocks)


def _luminance(colour: str) -> float:
    channels = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

"""The page of a series: scores over time, the true windows one by one, and the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.cli.report.series_words import SERIES_DEFINITIONS, series_headlines, series_lead
from whitecrow.cli.report.time_axis import TimeAxis
from whitecrow.cli.report.timeline import Panel, channels_worth_showing, timeline
from whitecrow.cli.series_figures import RANKING, SERIES_NAMES
from whitecrow.cli.wording import duration, percent
from whitecrow.data.series.periods import FALLBACK
from whitecrow.page.document import document
from whitecrow.page.markup import Markup, tag
from whitecrow.page.parts import number_cell, numbers, section, swatch, table_of
from whitecrow.workspace.report import sections
from whitecrow.workspace.report.page import stamp, style

if TYPE_CHECKING:
    from whitecrow.cli.series_figures import SeriesFigures, TrueWindow
    from whitecrow.data.series import SeriesRows

__all__ = ["SeriesPage", "render_series"]

_PARTS = 12
_MOST_WINDOWS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesPage:
    """What a report on a series shows.

    Parameters
    ----------
    title : str
        The heading.
    subject : str
        Name of the detector that the report is about.
    figures : SeriesFigures
        What was found.
    rows : SeriesRows
        The series.
    y : ndarray of {0, 1}, shape [T]
        Labels in the order of time.
    scores : ndarray, shape [T]
        Scores in the order of time.
    model, data : mapping of str to str
        Where the detector and the series come from, as names and values.
    notes : sequence of str
        What makes the figures doubtful.
    made : datetime
        When.
    """

    title: str
    subject: str
    figures: "SeriesFigures"
    rows: "SeriesRows"
    y: NDArray[np.integer]
    scores: NDArray[np.float64]
    model: Mapping[str, str]
    data: Mapping[str, str]
    notes: Sequence[str] = ()
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())


def render_series(page: SeriesPage) -> str:
    """Return the HTML document."""
    figures = page.figures
    meta = (
        f"{stamp(page.made)}. No figure has an interval: neighbouring steps are too much alike for one that is honest."
    )
    return document(
        page.title,
        "whitecrow evaluation",
        [tag("p", series_lead(figures, page.subject), class_="lead"), tag("p", meta, class_="meta")],
        [
            _cards(figures),
            sections.doubts(page.notes),
            _over_time(page),
            _windows(figures),
            _ranking(figures),
            _decisions(figures),
            sections.provenance(page.model, page.data, "step"),
            sections.definitions(SERIES_DEFINITIONS),
        ],
        style=style(),
    )


def _cards(figures: "SeriesFigures") -> Markup:
    return tag(
        "div",
        *(
            tag(
                "div",
                tag("p", name, class_="name"),
                tag("p", value, class_="value"),
                tag("p", meaning, class_="means"),
                class_="card",
            )
            for name, value, meaning in series_headlines(figures)
        ),
        class_="cards",
    )


def _over_time(page: SeriesPage) -> Markup:
    from whitecrow.metrics.series import events

    rows, figures = page.rows, page.figures
    shown = channels_worth_showing(rows.values, page.scores)
    panels = [Panel(rows.channels[k], rows.values[:, k]) for k in shown]
    panels.append(Panel.of_score(page.scores, figures.threshold))
    alarms = events(page.scores > figures.threshold)
    time = TimeAxis(len(page.scores), rows.times)
    picture = timeline(panels, time, rows.bounds, events(page.y), alarms)
    left_out = len(rows.channels) - len(shown)
    caption = (
        "The score of a step is drawn below the channels, with the threshold. In a long series each column of the "
        "picture shows the lowest and the highest value of its steps, so no peak is lost; shades and marks are at "
        "least two columns wide."
    )
    if left_out:
        caption += (
            f" Of {len(rows.channels)} channels those {len(shown)} are drawn that lie furthest from their mean, in "
            "their standard deviations, at the steps of the highest 1 % of the scores."
        )
    key = tag(
        "ul",
        tag("li", _sample("trace one"), "channel"),
        tag("li", _sample("trace two"), "anomaly score"),
        tag("li", swatch("threshold"), f"threshold {figures.threshold:.4g}"),
        tag("li", _sample("window"), "true window"),
        tag("li", _sample("alarm"), "flagged"),
        class_="key",
    )
    return section(
        "The score over time",
        f"A step is flagged if its score exceeds {figures.threshold:.6g}. What this is: {figures.threshold_source}.",
        tag(
            "figure",
            tag("h3", "Channels, score and true windows"),
            key,
            tag("div", picture, class_="scroll", tabindex=0),
            tag("figcaption", caption),
            numbers(
                ["From step", "to step", "Highest score", "Flagged steps", "True steps"],
                _summary(page.y, page.scores, figures.threshold),
            ),
        ),
    )


def _sample(style: str) -> Markup:
    """Return a sample of a trace, a shade or a mark."""
    if style.startswith("trace"):
        mark = tag("line", x1=1, x2=29, y1=6, y2=6, class_=style)
    else:
        mark = tag("rect", x=1, y=1, width=26, height=10, class_=style)
    return tag("svg", mark, viewBox="0 0 30 12", width=30, height=12, aria_hidden="true", class_="swatch")


def _summary(y: NDArray[Any], scores: NDArray[np.float64], threshold: float) -> list[tuple[str, ...]]:
    """Return the series in twelve equal parts."""
    edges = np.unique(np.linspace(0, len(y), _PARTS + 1).round().astype(int)).tolist()
    return [
        (
            f"{a + 1:,}",
            f"{b:,}",
            f"{scores[a:b].max():.4g}",
            f"{int((scores[a:b] > threshold).sum()):,}",
            f"{int(y[a:b].sum()):,}",
        )
        for a, b in pairwise(edges)
    ]


def _windows(figures: "SeriesFigures") -> Markup:
    timed = figures.windows[0].start is not None
    shown = figures.windows[:_MOST_WINDOWS]
    rows = [_window(number, window, figures.threshold) for number, window in enumerate(shown, 1)]
    text = "A window is found if one of its steps is flagged. Its delay runs from its first step to the first flagged."
    if len(shown) < len(figures.windows):
        text += f" These are the first {len(shown)} of {len(figures.windows):,}."
    heads = ["", "From", "To", "Steps", "Outcome", "Delay", "Steps flagged", "Peak score"]
    if figures.threshold > 0:
        heads.append("Peak / threshold")
    table = table_of(heads, rows, right=(0, 3, 5, 6, 7, 8) if timed else (0, 1, 2, 3, 5, 6, 7, 8))
    return section("The true windows", text, tag("div", table, class_="panel scroll", tabindex=0))


def _window(number: int, window: "TrueWindow", threshold: float) -> list[Markup]:
    n, found = window.last - window.first + 1, window.delay is not None
    if window.start is None:
        ends = [number_cell(f"{window.first:,}"), number_cell(f"{window.last:,}")]
    else:
        ends = [tag("td", _moment(window.start), class_="when"), tag("td", _moment(window.end), class_="when")]
    verdict = tag("span", "✓ found" if found else "✗ missed", class_=f"tick {'normal' if found else 'anomaly'}")
    return [
        number_cell(str(number)),
        *ends,
        number_cell(f"{n:,}"),
        tag("td", verdict),
        number_cell("" if window.delay is None else duration(window.delay, window.delay_seconds)),
        number_cell(f"{window.flagged:,} ({percent(window.flagged / n)})"),
        number_cell(f"{window.peak:.4g}"),
        *([number_cell(f"{window.peak / threshold:.2f}")] if threshold > 0 else []),
    ]


def _moment(text: str | None) -> str:
    return "" if text is None else text.removesuffix(":00")


def _ranking(figures: "SeriesFigures") -> Markup:
    return section(
        "How well the scores rank",
        "These figures need no threshold. The volumes under the surface (VUS) forgive a lag of up to "
        f"{figures.buffer:,} steps: the period of the first channel, or {FALLBACK} where it has none.",
        _table(figures, RANKING),
    )


def _decisions(figures: "SeriesFigures") -> Markup:
    names = [name for name in figures.metrics if name not in RANKING]
    runs = "run" if figures.alarms == 1 else "runs"
    return section(
        "What the threshold does",
        f"{figures.n_flagged:,} of {figures.n:,} steps are flagged, in {figures.alarms:,} {runs}.",
        _table(figures, names),
    )


def _table(figures: "SeriesFigures", names: Sequence[str]) -> Markup:
    rows = []
    for name in names:
        value, baseline = figures.metrics[name], figures.baselines.get(name)
        rows.append(
            [
                tag("th", SERIES_NAMES[name], scope="row"),
                number_cell("undefined" if np.isnan(value) else f"{value:.3f}"),
                number_cell("" if baseline is None else f"{baseline:.3f}"),
            ]
        )
    return tag("div", table_of(["", "Value", "No skill"], rows, right=(1, 2)), class_="panel scroll narrow", tabindex=0)

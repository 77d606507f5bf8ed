"""The page of scores without labels: how they are spread, what is flagged, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from whitecrow.page.document import document
from whitecrow.page.markup import Markup, tag
from whitecrow.page.parts import figure, numbers, section
from whitecrow.page.plot import Axis, Plot
from whitecrow.page.wording import in_units, percent
from whitecrow.workspace.report import sections
from whitecrow.workspace.report.alerts import Alert
from whitecrow.workspace.report.page import stamp, style

__all__ = ["ScorePage", "render_scores"]

_STYLE = "figure > svg { max-width: 44rem; }\n"
_BINS = 40
_TAILS = (0.001, 0.999)  # quantiles beyond which scores lie in the outer bins


@dataclass(frozen=True, kw_only=True, eq=False)
class ScorePage:
    """What a report without figures of merit shows.

    Parameters
    ----------
    title, subject : str
        The heading, and the name of the detector that the report is about.
    scores : ndarray of float64, shape [N]
        Of the rows that are shown, at least one.
    threshold : float
        Rows with a score above it are flagged.
    threshold_source : str
        What that threshold means.
    trained : bool
        Whether the rows are those that trained, for none was left to test.
    alerts : sequence of Alert
        The highest scores.
    model, data : mapping of str to str
        Where the detector and the rows come from, as names and values.
    notes : sequence of str
        What is to be known before the scores are believed.
    unit : str
        What a sample is called.
    more : sequence of Markup
        Sections behind where everything comes from.
    made : datetime
        When.
    """

    title: str
    subject: str
    scores: NDArray[np.float64]
    threshold: float
    threshold_source: str
    trained: bool
    alerts: Sequence[Alert]
    model: Mapping[str, str]
    data: Mapping[str, str]
    notes: Sequence[str] = ()
    unit: str = "row"
    more: Sequence[Markup] = ()
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())


def render_scores(page: ScorePage) -> str:
    """Return the HTML document."""
    flagged, n = int((page.scores > page.threshold).sum()), len(page.scores)
    rows = f"{n:,} {page.unit}s " + ("that it was trained on" if page.trained else "that it was not trained on")
    lead = (
        f"The {page.subject} flagged {flagged:,} of {rows} ({percent(flagged / n)}). How many of them are anomalies is "
        "not known."
    )
    return document(
        page.title,
        "whitecrow scores",
        [tag("p", lead, class_="lead"), tag("p", f"{stamp(page.made)}.", class_="meta")],
        [
            sections.doubts(page.notes),
            _histogram(page),
            sections.alert_list(page.alerts),
            sections.provenance(page.model, page.data, page.unit),
            *page.more,
        ],
        style=style() + _STYLE,
    )


def _histogram(page: ScorePage) -> Markup:
    low, high = (float(end) for end in np.quantile(page.scores, _TAILS, method="nearest"))
    edges = np.linspace(low, high if high > low else low + max(abs(low), 1.0), _BINS + 1)
    counts = np.histogram(page.scores.clip(edges[0], edges[-1]), edges)[0]
    plot = Plot(
        Axis(float(edges[0]), float(edges[-1]), "Anomaly score"),
        Axis(0, int(counts.max()) * 1.08, in_units("Rows", page.unit)),
        in_units(f"Histogram of the anomaly scores of all rows shown, threshold at {page.threshold:.4g}", page.unit),
    )
    plot.bars(edges.tolist(), counts.tolist(), "normal")
    if edges[0] <= page.threshold <= edges[-1]:
        plot.vertical(page.threshold, "threshold", f"threshold {page.threshold:.4g}")
    table = [(f"{edges[k]:.4g} to {edges[k + 1]:.4g}", f"{n:,}") for k, n in enumerate(counts.tolist())]
    return section(
        "How the scores are spread",
        in_units("A row is flagged if its score exceeds", page.unit)
        + f" {page.threshold:.6g}. What this is: {page.threshold_source}.",
        figure(
            "Anomaly scores",
            plot.svg(),
            "The outer bins also hold what lies beyond them.",
            numbers(["Score", in_units("Rows", page.unit)], table),
        ),
    )

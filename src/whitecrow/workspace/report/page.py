"""The page: sections in the order in which a reader asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING

from whitecrow.page.document import document
from whitecrow.page.markup import Markup, tag
from whitecrow.page.wording import percent
from whitecrow.workspace.report import sections
from whitecrow.workspace.report.words import headlines, lead

if TYPE_CHECKING:
    from whitecrow.workspace.assessment import Assessment
    from whitecrow.workspace.report.alerts import Alert

__all__ = ["Page", "render", "stamp", "style"]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a report shows.

    Parameters
    ----------
    title : str
        The heading.
    subject : str
        Name of the detector that the report is about.
    assessment : Assessment
        Its figures.
    alerts : sequence of Alert
        Its highest scores.
    model, data : mapping of str to str
        Where the detector and the rows come from, as names and values.
    notes : sequence of str
        What makes the figures doubtful.
    introduction : str
        A paragraph under the result, or empty.
    rivals : mapping of str to Assessment
        Detectors to compare, the one of the report among them; may be empty.
    unit : str
        What a sample is called.
    images : sequence of Markup
        Sections that show images, behind the first figures.
    more : sequence of Markup
        Sections behind where everything comes from.
    made : datetime
        When.
    """

    title: str
    subject: str
    assessment: "Assessment"
    alerts: Sequence["Alert"]
    model: Mapping[str, str]
    data: Mapping[str, str]
    notes: Sequence[str] = ()
    introduction: str = ""
    rivals: Mapping[str, "Assessment"] = field(default_factory=dict)
    unit: str = "row"
    images: Sequence[Markup] = ()
    more: Sequence[Markup] = ()
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())


def render(page: Page) -> str:
    """Return the HTML document."""
    report, unit = page.assessment.report, page.unit
    return document(
        page.title,
        "whitecrow evaluation",
        [
            tag("p", lead(report, page.subject, unit), class_="lead"),
            tag("p", f"{stamp(page.made)}. All intervals are {percent(report.level)} intervals.", class_="meta"),
        ],
        [
            tag("p", page.introduction) if page.introduction else None,
            sections.cards(headlines(report, unit)),
            sections.doubts(page.notes),
            sections.comparison(page.rivals) if len(page.rivals) > 1 else None,
            *page.images,
            sections.ranking(report, unit),
            sections.decisions(report, unit),
            sections.kinds(report, unit),
            sections.costs(report, unit),
            sections.alert_list(page.alerts),
            sections.provenance(page.model, page.data, unit),
            *page.more,
            sections.definitions(unit=unit),
        ],
        style=style(),
        pictures=bool(page.images),
    )


def stamp(made: datetime) -> str:
    """Return a day and time in words."""
    return made.strftime("%d %B %Y, %H:%M %Z").lstrip("0").strip()


def style() -> str:
    """Return the rules of our pages beyond those of every page."""
    return files("whitecrow.workspace.report").joinpath("report.css").read_text("utf-8")

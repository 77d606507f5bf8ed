"""The page: sections in the order in which a reader asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from whitecrow.cli.report import sections
from whitecrow.cli.report.words import headlines, lead
from whitecrow.cli.wording import percent
from whitecrow.page.document import document
from whitecrow.page.markup import tag

if TYPE_CHECKING:
    from whitecrow.cli.assessment import Alert, Assessment
    from whitecrow.detectors import Detector

__all__ = ["Page", "model_facts", "render"]


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
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())


def model_facts(detector: "Detector", file: Path) -> dict[str, str]:
    """Return where a fitted detector comes from."""
    summary = detector.summary_
    set_by_user = {
        name: value
        for name, value in detector.get_params().items()
        if name not in ("checkpoint", "verbose", "device") and value != getattr(type(detector), name)
    }
    return {
        "Detector": type(detector).__name__,
        "Model file": str(file),
        "Fitted on": f"{summary['rows']:,} rows ({summary['rows_trained_on']:,} to train, "
        f"{summary['rows_held_out']:,} held out), {summary['columns']} columns, {summary['features']} features",
        "Training rows are": summary["regime"],
        "Changed parameters": ", ".join(f"{name} = {value!r}" for name, value in set_by_user.items()) or "none",
        "Replicas": f"{len(detector.replica_seeds_)}, seeds {', '.join(str(s) for s in detector.replica_seeds_)}",
        "Threshold": f"{detector.threshold_:.6g}: {detector.threshold_source_}",
        "Versions": ", ".join(f"{name} {number}" for name, number in summary["versions"].items()),
    }


def render(page: Page) -> str:
    """Return the HTML document."""
    report = page.assessment.report
    made = page.made.strftime("%d %B %Y, %H:%M %Z").lstrip("0").strip()
    return document(
        page.title,
        "whitecrow evaluation",
        [
            tag("p", lead(report, page.subject), class_="lead"),
            tag("p", f"{made}. All intervals are {percent(report.level)} intervals.", class_="meta"),
        ],
        [
            tag("p", page.introduction) if page.introduction else None,
            sections.cards(headlines(report)),
            sections.doubts(page.notes),
            sections.comparison(page.rivals) if len(page.rivals) > 1 else None,
            sections.ranking(report),
            sections.decisions(report),
            sections.kinds(report),
            sections.costs(report),
            sections.alert_list(page.alerts),
            sections.provenance(page.model, page.data),
            sections.definitions(),
        ],
        style=files("whitecrow.cli.report").joinpath("report.css").read_text("utf-8"),
    )

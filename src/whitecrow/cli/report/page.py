"""The page: sections in the order in which a reader asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from whitecrow.cli.report import sections
from whitecrow.cli.report.markup import Markup, tag
from whitecrow.cli.report.words import headlines, lead
from whitecrow.cli.wording import percent

if TYPE_CHECKING:
    from whitecrow.cli.assessment import Alert, Assessment
    from whitecrow.detectors import Detector

__all__ = ["Page", "model_facts", "render"]

# Nothing may be loaded and no script may run, whatever the data put into the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


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
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", page.title),
        tag("style", Markup(files("whitecrow.cli.report").joinpath("report.css").read_text("utf-8"))),
    )
    header = tag(
        "header",
        tag("p", "whitecrow evaluation", class_="brand"),
        tag("h1", page.title),
        tag("p", lead(report, page.subject), class_="lead"),
        tag("p", f"{made}. All intervals are {percent(report.level)} intervals.", class_="meta"),
    )
    main = tag(
        "main",
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
    )
    footer = tag("footer", tag("p", f"Made by whitecrow {version('whitecrow')}. This file is complete in itself."))
    return "<!doctype html>\n" + tag("html", head, tag("body", header, main, footer), lang="en") + "\n"

"""The page: sections in the order in which a reader asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from whitecrow.cli.report import sections
from whitecrow.cli.report.image_grid import image_grid, pixel_section
from whitecrow.cli.report.words import headlines, lead
from whitecrow.cli.wording import percent
from whitecrow.page.document import document
from whitecrow.page.markup import tag

if TYPE_CHECKING:
    from whitecrow.cli.assessment import Alert
    from whitecrow.cli.gallery import Gallery
    from whitecrow.cli.image_assessment import PixelFigures
    from whitecrow.detectors import Detector
    from whitecrow.workspace.assessment import Assessment

__all__ = ["Page", "model_facts", "render", "stamp", "style"]


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
    gallery : Gallery or None
        Images to show.
    pixels : PixelFigures or None
        How well maps mark what masks mark.
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
    gallery: "Gallery | None" = None
    pixels: "PixelFigures | None" = None
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())


def model_facts(detector: "Detector", file: Path) -> dict[str, str]:
    """Return where a fitted detector comes from."""
    summary = detector.summary_
    set_by_user = {
        name: value
        for name, value in detector.get_params().items()
        if name not in ("checkpoint", "verbose", "device") and value != getattr(type(detector), name)
    }
    shape = detector.spec_.shape
    units, size = {
        "table": ("rows", f"{summary['columns']} columns, {summary['features']} features"),
        "image": ("images", f"each of {' x '.join(map(str, shape))} values (channels x height x width)"),
        "sequence": ("steps", f"windows of {shape[0]} steps of {shape[-1]} channels"),
    }[detector.spec_.kind]
    split = f"({summary['rows_trained_on']:,} to train, {summary['rows_held_out']:,} held out)"
    if detector.spec_.kind == "sequence":
        # What a fit counts as its rows to train on and to hold out are windows.
        split = split.replace(" to train", " windows to train")
    return {
        "Detector": type(detector).__name__,
        "Model file": str(file),
        "Fitted on": f"{summary['rows']:,} {units} {split}, {size}",
        f"Training {units} are": summary["regime"],
        "Changed parameters": ", ".join(f"{name} = {value!r}" for name, value in set_by_user.items()) or "none",
        "Replicas": f"{len(detector.replica_seeds_)}, seeds {', '.join(str(s) for s in detector.replica_seeds_)}",
        "Threshold": f"{detector.threshold_:.6g}: {detector.threshold_source_}",
        "Versions": ", ".join(f"{name} {number}" for name, number in summary["versions"].items()),
    }


def render(page: Page) -> str:
    """Return the HTML document."""
    report, unit, gallery = page.assessment.report, page.unit, page.gallery
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
            None if gallery is None else image_grid(gallery, report.threshold),
            None if page.pixels is None else pixel_section(page.pixels),
            sections.ranking(report, unit),
            sections.decisions(report, unit),
            sections.kinds(report, unit),
            sections.costs(report, unit),
            sections.alert_list(page.alerts),
            sections.provenance(page.model, page.data, unit),
            sections.definitions(unit=unit),
        ],
        style=style(),
        pictures=gallery is not None,
    )


def stamp(made: datetime) -> str:
    """Return a day and time in words."""
    return made.strftime("%d %B %Y, %H:%M %Z").lstrip("0").strip()


def style() -> str:
    """Return the rules of our pages beyond those of every page."""
    return files("whitecrow.cli.report").joinpath("report.css").read_text("utf-8")

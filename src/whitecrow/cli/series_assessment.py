"""A detector judged on a table with a row per time step and a column of labels."""

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import RenderableType

from whitecrow.cli.figures import facts, series_tables
from whitecrow.cli.samples import holds_images
from whitecrow.cli.series_figures import SeriesFigures, judge_series
from whitecrow.cli.wording import in_units
from whitecrow.core.errors import DataError
from whitecrow.data.labels import Labels, read_labels, require_columns
from whitecrow.workspace.assessment import seen_in_fit

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from whitecrow.cli.report import SeriesPage
    from whitecrow.cli.request import Request
    from whitecrow.data.series import SeriesRows

__all__ = ["evaluate_series"]


def evaluate_series(request: "Request") -> tuple[dict[str, Any], *tuple[RenderableType, ...]]:
    """Judge, write the report if one is wanted, and return the document and what to show.

    Raises
    ------
    DataError
        If the file holds no series, steps have no label, or all are of one class.
    ParameterError
        If the label column is not given or not there.
    """
    from whitecrow.data import read_table
    from whitecrow.data.series import period

    console, detector, file, label = request.console, request.detector, request.file, request.column
    if holds_images(file):
        raise DataError(
            f"The model scores series, and {file.name} is a folder or holds images. Give a table with a row per time "
            "step."
        )
    with console.working(f"Reading {file.name}") as bar:
        table = read_table(file)
        require_columns("--label", [label], table.columns, file)
        labels = read_labels(table[label], request.normal)
        _require_all(labels, label)
        rows = _series(request, table)
        bar.update(f"Scoring {file.name}")
        scores = rows.arrange(detector.anomaly_score(rows))
        bar.update("Measuring")
        y = rows.arrange(labels.y)
        figures = judge_series(
            y,
            scores,
            detector.threshold_,
            threshold_source=detector.threshold_source_,
            buffer=min(period(rows.values), len(rows.values)),
            times=rows.times,
        )
        seen = seen_in_fit(detector, scores)
        for sentence in (*figures.notes, *([] if seen is None else [in_units(seen, "step")])):
            console.note(sentence)
        if request.report is not None:
            from whitecrow.cli.report import render_series
            from whitecrow.core.files import write_bytes

            bar.update("Drawing the report")
            write_bytes(request.report, render_series(_page(request, rows, y, scores, figures, labels)))
    head = request.head({"Steps": f"{figures.n:,}, {figures.n_anomalous:,} of them in {_counted(figures)}"})
    return (
        request.document({**figures.to_dict(), "labels": labels.to_dict()}),
        facts(head),
        series_tables(figures),
    )


def _series(request: "Request", table: "pl.DataFrame") -> "SeriesRows":
    """Return the channels that the model knows, in the order of time."""
    from whitecrow.data.series import SeriesEncoder

    encoder: Any = request.detector.encoder_
    label = request.column
    if label in [column.name for column in encoder.columns_]:
        request.console.note(
            f"The model was fitted on the column {label!r} itself: these figures say nothing. Fit it again."
        )
        return SeriesEncoder.read(table)
    return SeriesEncoder.read(table.drop(label))


def _require_all(labels: Labels, column: str) -> None:
    missing = np.flatnonzero(labels.y < 0)
    if len(missing):
        raise DataError(
            f"--label {column}: {len(missing):,} of {len(labels.y):,} steps have no label, the first in row "
            f"{missing[0] + 1:,}. Without them true windows have no ends: fill them in, or cut the series."
        )


def _counted(figures: SeriesFigures) -> str:
    n = len(figures.windows)
    return f"{n:,} true window{'' if n == 1 else 's'}"


def _page(
    request: "Request",
    rows: "SeriesRows",
    y: "NDArray[np.integer]",
    scores: "NDArray[np.float64]",
    figures: SeriesFigures,
    labels: Labels,
) -> "SeriesPage":
    from whitecrow.cli.report import SeriesPage, model_facts

    detector, file = request.detector, request.file
    return SeriesPage(
        title=f"{type(detector).__name__} on {file.name}",
        subject=type(detector).__name__,
        figures=figures,
        rows=rows,
        y=y,
        scores=scores,
        model=model_facts(detector, request.model),
        data={
            "File": str(file),
            "Label column": request.column,
            "Normal labels": ", ".join(labels.normal),
            "Steps": f"{figures.n:,}, {len(rows.channels)} channels; stretches without gaps: {len(rows.bounds) - 1:,}",
        },
        notes=tuple(request.console.notes),
    )

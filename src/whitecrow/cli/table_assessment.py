"""A detector judged on the labelled rows of a table."""

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from whitecrow.cli.assessment import LabelledScores, explained
from whitecrow.cli.figures import evaluation_tables, facts
from whitecrow.cli.samples import holds_images
from whitecrow.cli.streaming import scored_batches
from whitecrow.core.errors import DataError
from whitecrow.data.labels import require_columns
from whitecrow.workspace.assessment import assess

if TYPE_CHECKING:
    from whitecrow.cli.request import Request

__all__ = ["evaluate_table"]

_ALERTS = 12
_REASONS = 3


def evaluate_table(request: "Request") -> tuple[dict[str, Any], *tuple[RenderableType, ...]]:
    """Judge, write the report if one is wanted, and return the document and what to show.

    Raises
    ------
    DataError
        If the file holds no table, or its labels are not of both classes.
    ParameterError
        If the label column is not given or not there.
    """
    from whitecrow.data import read_table
    from whitecrow.data.encoders import table_encoder

    console, detector, file, label = request.console, request.detector, request.file, request.column
    if holds_images(file):
        raise DataError(f"The model scores rows of tables, and {file.name} is a folder or holds images. Give a table.")
    require_columns("--label", [label], read_table(file, n_rows=1).columns, file)
    if label in [column.name for column in table_encoder(detector.encoder_, "evaluate").columns_]:
        console.note(f"The model was fitted on the column {label!r} itself: these figures say nothing. Fit it again.")
    found = LabelledScores(detector, label, _ALERTS)
    with console.working(f"Scoring {file.name}") as bar:
        n = 0
        for batch in scored_batches(file, detector):
            found.add(batch)
            n += len(batch.scores)
            bar.update(f"Scoring {file.name}, {n:,} rows")
        bar.update("Measuring")
        labels = found.labels(request.normal)
        assessment = assess(detector, found.scores, labels, found.hashes, request.costs)
        for sentence in assessment.notes:
            console.note(sentence)
        alerts = ()
        if request.report is not None:
            bar.update("Drawing the report")
            try:
                alerts, _ = explained(detector, found.best, _REASONS, labels)
            except DataError as error:
                console.note(str(error))
    if request.report is not None:
        from whitecrow.cli.report import Page, model_facts, render
        from whitecrow.core.files import write_bytes

        page = Page(
            title=f"{type(detector).__name__} on {file.name}",
            subject=type(detector).__name__,
            assessment=assessment,
            alerts=alerts,
            model=model_facts(detector, request.model),
            data={"File": str(file), "Label column": label, "Labels": str(labels)},
            notes=tuple(console.notes),
        )
        write_bytes(request.report, render(page))
    head = request.head({"Rows": str(labels)})
    return request.document(assessment.to_dict()), facts(head), evaluation_tables(assessment)

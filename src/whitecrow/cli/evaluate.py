"""``whitecrow evaluate``: how good a model is on labelled rows."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Group

from whitecrow.cli.console import Options
from whitecrow.cli.figures import evaluation_tables, facts
from whitecrow.cli.streaming import check_output, require_file, scored_batches
from whitecrow.core.errors import DataError
from whitecrow.data.labels import require_columns

__all__ = ["evaluate"]

_ALERTS = 12


def evaluate(
    file: Path,
    /,
    *,
    model: Annotated[Path, Parameter(name=["--model", "-m"])],
    label: str,
    normal: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    cost_miss: float = 10.0,
    cost_false_alarm: float = 1.0,
    report: Path | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Measure a model on labelled rows: figures with intervals, and a report for the browser.

    Parameters
    ----------
    file
        Table with the columns that the model was fitted on, and labels.
    model
        Model file.
    label
        Column with the labels.
    normal
        Values of the label column that mean normal; by default 0, false, no, normal, benign and "-".
    cost_miss
        Cost of an anomaly that is not flagged, in any unit.
    cost_false_alarm
        Cost of a normal row that is flagged, in the same unit.
    report
        Self-contained HTML file to write, with curves, histogram, confusion matrix, costs and alerts.
    """
    from whitecrow.cli.assessment import LabelledScores, assess, explained
    from whitecrow.core.files import write_bytes
    from whitecrow.data import read_table
    from whitecrow.data.encoders import table_encoder
    from whitecrow.io import load
    from whitecrow.metrics import Costs

    with options.console() as console:
        require_file(file)
        require_file(model)
        costs = Costs(cost_miss, cost_false_alarm)
        if report is not None:
            check_output("--report", report, (".html", ".htm"))
        detector = load(model)
        encoder = table_encoder(detector.encoder_, "evaluate")
        require_columns("--label", [label], read_table(file, n_rows=1).columns, file)
        if label in [column.name for column in encoder.columns_]:
            console.note(
                f"The model was fitted on the column {label!r} itself: these figures say nothing. Fit it again."
            )
        found = LabelledScores(detector, label, _ALERTS)
        with console.working(f"Scoring {file.name}") as bar:
            n = 0
            for batch in scored_batches(file, detector):
                found.add(batch)
                n += len(batch.scores)
                bar.update(f"Scoring {file.name}, {n:,} rows")
            bar.update("Measuring")
            labels = found.labels(normal)
            assessment = assess(detector, found.scores, labels, found.hashes, costs)
            for sentence in assessment.notes:
                console.note(sentence)
            alerts = ()
            if report is not None:
                bar.update("Drawing the report")
                try:
                    alerts, _ = explained(detector, found.best, 3, labels)
                except DataError as error:
                    console.note(str(error))
        if report is not None:
            from whitecrow.cli.report import Page, model_facts, render

            page = Page(
                title=f"{type(detector).__name__} on {file.name}",
                subject=type(detector).__name__,
                assessment=assessment,
                alerts=alerts,
                model=model_facts(detector, model),
                data={"File": str(file), "Label column": label, "Labels": str(labels)},
                notes=tuple(console.notes),
            )
            write_bytes(report, render(page))
        document = {
            "model": str(model),
            "file": str(file),
            "report": None if report is None else str(report),
            **assessment.to_dict(),
        }
        head = {
            "Model": str(model),
            "Rows": str(labels),
            "Threshold": f"{detector.threshold_:.6g} ({detector.threshold_source_})",
            "Costs": f"a miss {cost_miss:g}, a false alarm {cost_false_alarm:g}",
            "Report": "" if report is None else str(report),
        }
        console.result(document, Group(facts(head), evaluation_tables(assessment)))

"""``whitecrow evaluate``: how good a model is on labelled rows, images or series."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from whitecrow.cli.console import Options
from whitecrow.cli.streaming import check_output, require_file
from whitecrow.core.errors import ParameterError

__all__ = ["evaluate"]

_COST_MISS, _COST_FALSE_ALARM = 10.0, 1.0


def evaluate(
    file: Path,
    /,
    *,
    model: Annotated[Path, Parameter(name=["--model", "-m"])],
    label: str | None = None,
    normal: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    cost_miss: float | None = None,
    cost_false_alarm: float | None = None,
    report: Path | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Measure a model on labelled rows, images or time steps: figures, and a report for the browser.

    Parameters
    ----------
    file
        Table with the columns that the model was fitted on, and labels; for a model of series, with a row per time
        step. For a model of images, a folder whose sub-folders say what is normal, or an IDX file.
    model
        Model file.
    label
        Column with the labels, or the IDX file of the labels of an IDX file of images. The labels of a folder of
        images are its sub-folders.
    normal
        Labels that mean normal; by default 0, false, no, normal, benign and "-", and of folders also good.
    cost_miss
        Cost of an anomaly that is not flagged, in any unit; 10 by default. Not for series.
    cost_false_alarm
        Cost of a normal row or image that is flagged, in the same unit; 1 by default. Not for series.
    report
        Self-contained HTML file to write: curves, costs and alerts; images with their maps; scores over time.
    """
    from whitecrow.cli.image_assessment import evaluate_images
    from whitecrow.cli.request import Request
    from whitecrow.cli.series_assessment import evaluate_series
    from whitecrow.cli.table_assessment import evaluate_table
    from whitecrow.io import load
    from whitecrow.metrics import Costs

    with options.console() as console:
        require_file(file)
        require_file(model)
        priced = cost_miss is not None or cost_false_alarm is not None
        costs = Costs(
            _COST_MISS if cost_miss is None else cost_miss,
            _COST_FALSE_ALARM if cost_false_alarm is None else cost_false_alarm,
        )
        if report is not None:
            check_output("--report", report, (".html", ".htm"))
        detector = load(model)
        kind = detector.spec_.kind
        if kind == "sequence" and priced:
            raise ParameterError(
                "--cost-miss and --cost-false-alarm price rows and images. Steps of a series have no price of their "
                "own: leave them out."
            )
        judge = {"table": evaluate_table, "image": evaluate_images, "sequence": evaluate_series}[kind]
        document, *shown = judge(
            Request(
                console=console,
                file=file,
                model=model,
                detector=detector,
                label=label,
                normal=normal,
                costs=None if kind == "sequence" else costs,
                report=report,
            )
        )
        console.result(document, *shown)

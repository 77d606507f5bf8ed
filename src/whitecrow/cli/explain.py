"""``whitecrow explain``: the most anomalous rows of a file and why."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from whitecrow.cli.console import Options
from whitecrow.cli.figures import alerts_table
from whitecrow.cli.streaming import TopRows, require_file, scored_batches
from whitecrow.core.parameters import Count, check

__all__ = ["explain"]


def explain(
    file: Path,
    /,
    *,
    model: Annotated[Path, Parameter(name=["--model", "-m"])],
    top: int = 10,
    reasons: int = 3,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Show the most anomalous rows of a file, and why they are so.

    Parameters
    ----------
    file
        Table with the columns that the model was fitted on.
    model
        Model file.
    top
        Rows to show, the highest scores first.
    reasons
        Reasons for each, the strongest first.
    """
    from whitecrow.cli.assessment import explained
    from whitecrow.io import load

    with options.console() as console:
        require_file(file)
        require_file(model)
        check("explain", "--top", top, Count)
        check("explain", "--reasons", reasons, Count)
        detector = load(model)
        best, n = TopRows(top), 0
        with console.working(f"Scoring {file.name}") as bar:
            for batch in scored_batches(file, detector):
                best.add(batch)
                n += len(batch.scores)
                bar.update(f"Scoring {file.name}, {n:,} rows")
            bar.update(f"Explaining {len(best.scores)} rows")
            alerts, explanation = explained(detector, best, reasons)
        document = {"file": str(file), "model": str(model), "rows": n, "threshold_source": detector.threshold_source_}
        if explanation is not None:
            document |= explanation.to_dict(reasons)
            for row, number in zip(document["rows"], best.numbers.tolist(), strict=True):
                row["row"] = number
        console.result(document, alerts_table(alerts, f"The {len(alerts)} highest of {n:,} scores in {file.name}"))

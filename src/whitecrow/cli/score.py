"""``whitecrow score``: the rows of a file with their scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from whitecrow.cli.console import Options
from whitecrow.cli.figures import facts
from whitecrow.cli.streaming import check_output, require_file, scored_batches
from whitecrow.core.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from whitecrow.detectors import Detector

__all__ = ["FORMATS", "added_columns", "score", "with_scores"]

FORMATS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".ndjson")


def score(
    file: Path,
    /,
    *,
    model: Annotated[Path, Parameter(name=["--model", "-m"])],
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    prefix: str = "",
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Score the rows of a file: all its columns, and score, p_value and is_anomaly.

    The file is read and written as a stream, so it may be larger than memory.

    Parameters
    ----------
    file
        Table with the columns that the model was fitted on; other columns are carried along.
    model
        Model file.
    output
        File to write: .parquet, .csv, .csv.gz, .jsonl or .ndjson.
    prefix
        What the names of the three new columns begin with, for files that have such columns already.
    """
    from whitecrow.data import TableWriter
    from whitecrow.io import load

    with options.console() as console:
        require_file(file)
        require_file(model)
        check_output("--output", output, FORMATS)
        if output.exists() and file.exists() and output.samefile(file):
            raise ParameterError(f"--output {output} is the input file. Give another name.")
        detector = load(model)
        if not len(detector.calibration_scores_):
            console.note("This model was fitted without held-out rows, so p_value is empty.")
        n = flagged = 0
        with console.working(f"Scoring {file.name}") as bar, TableWriter(output) as writer:
            added: dict[str, pl.Series] = {}
            for rows, scores, _ in scored_batches(file, detector):
                added = added_columns(detector, scores, prefix)
                writer.write(with_scores(rows, added, file))
                n += len(scores)
                flagged += int(added[f"{prefix}is_anomaly"].sum())
                bar.update(f"Scoring {file.name}, {n:,} rows")
            bar.update(f"Writing {output.name}")
        document = {
            "output": str(output),
            "rows": n,
            "flagged": flagged,
            "columns_added": list(added),
            "threshold": detector.threshold_,
            "threshold_source": detector.threshold_source_,
        }
        lines = {
            "Scores": str(output),
            "Rows": f"{n:,}",
            "Flagged": f"{flagged:,} of {n:,}",
            "Threshold": f"{detector.threshold_:.6g} ({detector.threshold_source_})",
        }
        console.summary(document, facts(lines))


def added_columns(detector: "Detector", scores: "np.ndarray", prefix: str = "") -> dict[str, "pl.Series"]:
    """Return the columns that scoring adds: score, p_value (empty without held-out rows) and is_anomaly."""
    import polars as pl

    from whitecrow.calibrate import p_values

    calibration = detector.calibration_scores_
    p = p_values(calibration, scores) if len(calibration) and len(scores) else [None] * len(scores)
    return {
        f"{prefix}score": pl.Series(scores, dtype=pl.Float64),
        f"{prefix}p_value": pl.Series(p, dtype=pl.Float64),
        f"{prefix}is_anomaly": pl.Series(scores > detector.threshold_, dtype=pl.Boolean),
    }


def with_scores(rows: "pl.DataFrame", added: dict[str, "pl.Series"], file: Path) -> "pl.DataFrame":
    """Return the rows with the added columns behind their own.

    Raises
    ------
    ParameterError
        If the rows have a column of such a name.
    """
    if clash := [name for name in added if name in rows.columns]:
        raise ParameterError(
            f"{file} has a column {clash[0]!r} already. Name the new columns otherwise, for example: --prefix new_"
        )
    return rows.with_columns(**added)

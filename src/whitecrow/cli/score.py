"""``whitecrow score``: the rows of a file with their scores."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from whitecrow.cli.console import Console, Options
from whitecrow.cli.figures import facts
from whitecrow.cli.streaming import check_folder, check_output, require_file, table_batches
from whitecrow.core.errors import ParameterError, WhitecrowWarning

if TYPE_CHECKING:
    from whitecrow.detectors import Detector
    from whitecrow.io.parts import Part, Written

__all__ = ["FORMATS", "score"]

FORMATS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".ndjson")


def score(
    file: Path,
    /,
    *,
    model: Annotated[Path, Parameter(name=["--model", "-m"])],
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    prefix: str = "",
    cluster: str | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Score the rows of a file: all its columns, and score, p_value and is_anomaly.

    A file is read and written as a stream, so it may be larger than memory. A folder of Parquet files, or anything
    under --cluster, is scored in parts that become the files of a folder; if that is interrupted, the same command
    goes on from there.

    Parameters
    ----------
    file
        Table with the columns that the model was fitted on; other columns are carried along. Or a folder of Parquet
        files. For a model of images, a folder of image files (of its part test, where it has one) or an IDX file.
    model
        Model file.
    output
        File to write: .parquet, .csv, .csv.gz, .jsonl or .ndjson. Or, for parts, a folder to make.
    prefix
        What the names of the three new columns begin with, for files that have such columns already.
    cluster
        Address of a Dask scheduler whose workers score the parts, such as tcp://host:8786. They must see the same
        files under the same names.
    """
    with options.console() as console:
        require_file(file)
        require_file(model)
        from whitecrow.io import inspect

        of_rows = inspect(model)["spec"]["kind"] == "table"
        in_parts = cluster is not None or (file.is_dir() and of_rows)
        if cluster is not None and not of_rows:
            raise ParameterError("--cluster scores the rows of tables. Score images and series without it.")
        if in_parts:
            _check_parts(file, output)
        else:
            check_output("--output", output, FORMATS)
            if output.exists() and output.samefile(file):
                raise ParameterError(f"--output {output} is the input file. Give another name.")
        from whitecrow.io.batches import load_once

        detector = load_once(model)
        if not len(detector.calibration_scores_):
            console.note("This model was fitted without held-out rows, so p_value is empty.")
        if in_parts:
            document, lines = _score_parts(console, file, model, output, prefix, cluster)
        elif not of_rows:
            document, lines = _score_samples(console, file, detector, output, prefix)
        else:
            document, lines = _score_file(console, file, detector, output, prefix)
        _summarise(console, detector, prefix, document, lines)


def _score_file(
    console: Console, file: Path, detector: "Detector", output: Path, prefix: str
) -> tuple[dict[str, Any], dict[str, str]]:
    from whitecrow.data import TableWriter
    from whitecrow.io.batches import added_names, score_batch

    flag = added_names(prefix)[-1]
    n = flagged = 0
    with console.working(f"Scoring {file.name}") as bar, TableWriter(output) as writer:
        for rows in table_batches(file, detector):
            scored = score_batch(rows, detector, prefix)
            writer.write(scored)
            n += scored.height
            flagged += int(scored[flag].sum())
            bar.update(f"Scoring {file.name}, {n:,} rows")
        bar.update(f"Writing {output.name}")
    return {"output": str(output), "rows": n, "flagged": flagged}, {"Scores": str(output)}


def _score_samples(
    console: Console, file: Path, detector: "Detector", output: Path, prefix: str
) -> tuple[dict[str, Any], dict[str, str]]:
    from whitecrow.cli.samples import sample_scores
    from whitecrow.data import TableWriter
    from whitecrow.io.batches import with_scores

    with console.working(f"Scoring {file.name}") as bar, TableWriter(output) as writer:
        names, scores = sample_scores(file, detector)
        writer.write(with_scores(names, scores, detector, prefix))
        bar.update(f"Writing {output.name}")
    flagged = int((scores > detector.threshold_).sum())
    return {"output": str(output), "rows": len(scores), "flagged": flagged}, {"Scores": str(output)}


def _check_parts(source: Path, output: Path) -> None:
    if not source.is_dir() and source.suffix.lower() != ".parquet":
        raise ParameterError(
            f"--cluster takes a Parquet file or a folder of them, not {source.name}. Score it without --cluster."
        )
    if output.name.lower().endswith(FORMATS):
        raise ParameterError(
            f"--output {output}: a folder, and anything under --cluster, is scored in parts, which go to a folder of "
            "Parquet files. Give a name without a suffix."
        )
    check_folder("--output", output, source)


def _score_parts(
    console: Console, source: Path, model: Path, output: Path, prefix: str, cluster: str | None
) -> tuple[dict[str, Any], dict[str, str]]:
    from whitecrow.io.part_folder import missing_parts, verify_parts
    from whitecrow.io.parts import plan_parts

    with console.working(f"Looking into {source.name}") as bar:
        parts = plan_parts(source, model, output, prefix)
        missing = missing_parts(parts)
        total = sum(part.rows for part in parts)
        n = total - sum(part.rows for part in missing)
        kept = len(parts) - len(missing)
        bar.update(f"Scoring {source.name}, {kept} of {len(parts)} parts", n, total)
        done = kept
        try:
            for part, outcome in _written(missing, cluster):
                n += part.rows
                done += 1
                for note in outcome.notes:
                    warnings.warn(note, WhitecrowWarning, stacklevel=1)
                bar.update(f"Scoring {source.name}, {done} of {len(parts)} parts", n)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped. Finished parts are in {output}; the same command goes on from there."
            ) from None
        bar.update("Counting the rows of all parts")
        found = verify_parts(parts)
    document = {"output": str(output), "rows": found.rows, "flagged": found.flagged, "parts": len(parts), "kept": kept}
    before = f", {kept} of them from before" if kept else ""
    return document, {"Scores": str(output), "Parts": f"{len(parts):,}{before}"}


def _written(parts: "list[Part]", cluster: str | None) -> "Iterable[tuple[Part, Written]]":
    from whitecrow.io.cluster import write_on_cluster
    from whitecrow.io.part_folder import write_here

    if not parts:
        return ()
    return write_here(parts) if cluster is None else write_on_cluster(cluster, parts)


def _summarise(
    console: Console, detector: "Detector", prefix: str, document: dict[str, Any], lines: dict[str, str]
) -> None:
    from whitecrow.io.batches import added_names

    document |= {
        "columns_added": added_names(prefix),
        "threshold": detector.threshold_,
        "threshold_source": detector.threshold_source_,
    }
    lines |= {
        "Rows": f"{document['rows']:,}",
        "Flagged": f"{document['flagged']:,} of {document['rows']:,}",
        "Threshold": f"{detector.threshold_:.6g} ({detector.threshold_source_})",
    }
    console.summary(document, facts(lines))

"""``whitecrow fit``: a detector from a file."""

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Table

from whitecrow.cli.console import Console, Options
from whitecrow.cli.figures import facts
from whitecrow.cli.samples import holds_images, read_images
from whitecrow.cli.streaming import check_output, require_file
from whitecrow.core import parameters, registry
from whitecrow.core.errors import DataError, ParameterError
from whitecrow.data.labels import Labels, read_labels, require_columns

if TYPE_CHECKING:
    import polars as pl

    from whitecrow.detectors import Detector
    from whitecrow.train.monitor import Progress

__all__ = ["fit"]

# Parameters that have an option of their own, or that belong to the command.
_RESERVED = {
    "regime": "Use --regime.",
    "contamination": "Use --contamination.",
    "n_replicas": "Use --replicas.",
    "random_state": "Use --seed.",
    "checkpoint": "The command keeps one beside the output.",
    "verbose": "Use --quiet.",
}


def fit(
    file: Path,
    /,
    *,
    detector: str = "auto",
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    settings: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True)] = None,
    label: str | None = None,
    normal: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    ignore: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    image_size: int | None = None,
    regime: Literal["contaminated", "clean", "labelled"] = "contaminated",
    contamination: float | None = None,
    replicas: int | None = None,
    seed: int = 0,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Fit a detector to the rows of a file and write it to a model file.

    A fit that is interrupted can be taken up again: run the same command once more.

    Parameters
    ----------
    file
        Table: CSV, TSV, ARFF (also gzipped), Parquet, NPZ, NPY or MAT; for a detector of series, one row per time step,
        with the time in a column if there is one. Or, for a detector of images, a folder of image files (of its part
        train, where it has the parts train and test) or an IDX file.
    detector
        Name of a detector; see: whitecrow detectors list. By default a committee for tables, chosen by one rule.
    output
        Model file to write, for example model.safetensors.
    settings
        Parameters of the detector as NAME=VALUE; see: whitecrow detectors describe NAME.
    label
        Column with labels. It never reaches training; --regime labelled reads it as labels.
    normal
        Values of the label column that mean normal; by default 0, false, no, normal, benign and "-".
    ignore
        Columns to leave out, such as identifiers.
    image_size
        Side in pixels to which image files are resized.
    regime
        What the rows are: some anomalous (contaminated), all normal (clean), or told by --label (labelled).
    contamination
        Share of rows that the threshold flags, from 0 to 0.5; the detector's default otherwise.
    replicas
        Independently seeded copies that are trained at once and averaged, for detectors that are trained by gradients.
    seed
        Source of all randomness: the same seed gives the same model.
    """
    with options.console() as console:
        require_file(file)
        check_output("--output", output)
        cls = registry.load(detector)
        given = {"contamination": contamination, "n_replicas": replicas}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        chosen |= _settings(cls, settings or [])
        model: Detector = cls(**chosen, regime=regime, random_state=seed, verbose=False)
        for field in parameters.fields(cls).values():
            parameters.check(cls.__name__, field.name, getattr(model, field.name), field.annotation)
        if cls.needs_labels and regime != "labelled":
            raise ParameterError(
                f"--regime {regime}: {detector} learns from known anomalies. Use --regime labelled --label COLUMN."
            )
        if regime == "labelled" and label is None:
            raise ParameterError("--regime labelled needs the column with the labels: --label COLUMN.")
        if normal is not None and label is None:
            raise ParameterError("--normal says which labels are normal, so it needs --label COLUMN.")
        checkpoint = output.with_name(output.name + ".checkpoint")
        if "checkpoint" in parameters.fields(cls):
            model.set_params(checkpoint=str(checkpoint))
        with console.working(f"Reading {file.name}") as bar:
            rows, labels = _read(
                file, cls.kinds, label, normal, ignore or [], image_size, needed=regime == "labelled", console=console
            )
            bar.update(f"Fitting {detector}", 0, 1)

            reached = ""

            def follow(progress: "Progress") -> None:
                nonlocal reached
                reached = _state(progress)
                bar.update(f"Fitting {detector}, {reached}", progress.fraction)

            try:
                _train(model, rows, labels if regime == "labelled" else None, follow)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(_farewell(reached, checkpoint)) from None
            bar.update(f"Writing {output.name}")
            model.save(output)
        _remark(console, model, regime, labels)
        console.summary(*_report(model, detector, file, output, labels, label, ignore or []))


def _settings(cls: type, texts: list[str]) -> dict[str, Any]:
    fields = parameters.fields(cls)
    out: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ParameterError(f"--set {text}: accepted is NAME=VALUE, for example: --set latent_dim=8.")
        if name in _RESERVED and name in fields:
            raise ParameterError(f"--set {text}: {name} is not set here. {_RESERVED[name]}")
        # The constructor knows best how to say that there is no such parameter.
        out[name] = parameters.parse(cls.__name__, name, value, fields[name].annotation) if name in fields else value
    return out


def _read(
    file: Path,
    kinds: tuple[str, ...],
    label: str | None,
    normal: list[str] | None,
    ignore: list[str],
    image_size: int | None,
    *,
    needed: bool,
    console: Console,
) -> tuple[Any, Labels | None]:
    """Return the columns or images to learn from, and the labels where there are any that can be read."""
    from whitecrow.data import read_table

    if holds_images(file):
        if "image" not in kinds:
            raise ParameterError(
                f"{file.name} holds images, and the detector takes {' and '.join(kinds)} data. See the detectors of "
                "images: whitecrow detectors list."
            )
        if label is not None or ignore:
            raise ParameterError("--label and --ignore name columns of a table; images have none.")
        return read_images(file, image_size, "train")[0], None
    if image_size is not None:
        raise ParameterError(f"--image-size: {file.name} is neither a folder nor an image file.")
    if "table" not in kinds and "sequence" not in kinds:
        raise ParameterError(f"The detector takes images, and {file.name} is none: give a folder or an IDX file.")
    names = read_table(file, n_rows=1).columns
    require_columns("--label", [label] if label is not None else [], names, file)
    require_columns("--ignore", ignore, names, file)
    kept = [name for name in names if name != label and name not in ignore]
    if not kept:
        raise ParameterError("--label and --ignore leave no column to learn from.")
    if label is None:
        return read_table(file, columns=kept), None
    table = read_table(file, columns=[*kept, label])
    try:
        labels = read_labels(table[label], normal)
    except DataError:
        if needed:
            raise
        labels = None
    return table.drop(label), labels


def _train(model: "Detector", rows: "pl.DataFrame", labels: Labels | None, follow: Any) -> None:
    from whitecrow.train import monitor

    with monitor(follow):
        model.fit(rows, None if labels is None else labels.y.astype("int64"))


def _state(progress: "Progress") -> str:
    loss = "" if math.isnan(progress.loss) else f", loss {progress.loss:.4g}"
    return f"epoch {progress.epoch}/{progress.epochs}{loss}"


def _farewell(state: str, checkpoint: Path) -> str:
    where = f"Stopped at {state}." if state else "Stopped before the first epoch had ended."
    if not checkpoint.exists():
        return f"{where} Nothing was written."
    command = shlex.join(["whitecrow", *sys.argv[1:]])
    kept = f"No model was written; {checkpoint} keeps what was learnt."
    return f"{where} {kept} The same command goes on from there: {command}"


def _remark(console: Console, model: "Detector", regime: str, labels: Labels | None) -> None:
    anomalies = 0 if labels is None else int((labels.y == 1).sum())
    if regime == "clean" and anomalies:
        console.note(
            f"--regime clean says that all rows are normal, but {anomalies:,} are labelled as anomalies. "
            "Use --regime labelled to keep them out of training."
        )
    diverged = sum(getattr(model, "diverged_", []))
    if diverged:
        console.note(f"{diverged} replicas diverged and keep their last finite state.")


def _report(
    model: "Detector", name: str, file: Path, output: Path, labels: Labels | None, label: str | None, ignore: list[str]
) -> tuple[dict[str, Any], Table]:
    summary = model.summary_
    left_out = [*([label] if label is not None else []), *ignore]
    document = {
        "model": str(output),
        "detector": name,
        "file": str(file),
        "left_out": left_out,
        "labels": None if labels is None else labels.to_dict(),
        "threshold": model.threshold_,
        "threshold_source": model.threshold_source_,
        "epochs": getattr(model, "n_epochs_", None),
        "summary": summary,
    }
    lines = {
        "Model": f"{name} in {output}",
        "Rows": f"{summary['rows']:,} ({summary['rows_trained_on']:,} to train, {summary['rows_held_out']:,} held out)",
        "Columns": f"{summary['columns']} as {summary['features']} features",
        "Left out": ", ".join(left_out),
        "Labels": "" if labels is None else str(labels),
        "Threshold": f"{model.threshold_:.6g} ({model.threshold_source_})",
        "Epochs": ", ".join(str(n) for n in getattr(model, "n_epochs_", [])),
        "Time": f"{summary['seconds']:.1f} s",
    }
    return document, facts(lines)

"""``whitecrow select``: which detector to fit to a file, without labels."""

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from whitecrow.cli.console import Options
from whitecrow.cli.figures import facts, listing
from whitecrow.cli.streaming import require_file
from whitecrow.cli.wording import percent
from whitecrow.core import registry
from whitecrow.core.errors import ParameterError
from whitecrow.data.labels import require_columns

if TYPE_CHECKING:
    from whitecrow.study.selection import Selection

__all__ = ["select"]

_REGRET = "Without labels this is a guess; docs/selection.md says what it was worth on data sets with labels."


def select(
    file: Path,
    /,
    *,
    detectors: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    label: str | None = None,
    ignore: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    repetitions: int = 5,
    rows: int = 5000,
    budget: float | None = None,
    seed: int = 0,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Compare a few detectors on the rows of a file, without labels, and recommend one.

    Parameters
    ----------
    file
        Table: CSV, TSV, ARFF (also gzipped), Parquet, NPZ, NPY or MAT.
    detectors
        Names of the candidates; by default some that are strong and fast. See: whitecrow detectors list.
    label
        Column with labels. It is left out and never read.
    ignore
        Columns to leave out, such as identifiers.
    repetitions
        How often all candidates are fitted, twice each time; with 1 nothing can be told apart.
    rows
        At most this many rows are compared on, at random.
    budget
        Seconds after which no further fit is started.
    seed
        Source of all randomness: the same seed gives the same recommendation.
    """
    with options.console() as console:
        require_file(file)
        for name in detectors or []:
            registry.load(name)
        from whitecrow.data import read_table
        from whitecrow.study.selection import CANDIDATES
        from whitecrow.study.selection import select as compare

        names = read_table(file, n_rows=1).columns
        require_columns("--label", [label] if label is not None else [], names, file)
        require_columns("--ignore", ignore or [], names, file)
        left_out = [*([label] if label is not None else []), *(ignore or [])]
        kept = [name for name in names if name not in left_out]
        if not kept:
            raise ParameterError("--label and --ignore leave no column to compare on.")
        with console.working(f"Reading {file.name}") as bar:
            table = read_table(file, columns=kept)
            selection = compare(
                table,
                detectors=detectors or CANDIDATES,
                n_repetitions=repetitions,
                max_rows=rows,
                budget=budget,
                seed=seed,
                follow=lambda name, done: bar.update(f"Comparing, {name}", done, 1),
            )
        for name, reason in selection.left_out.items():
            console.note(f"{name} was left out. {reason}")
        if selection.n_repetitions < selection.n_asked:
            console.note(
                f"The budget was spent after {selection.n_repetitions} of {selection.n_asked} repetitions; the "
                "recommendation is less certain for it."
            )
        command = _command(file, selection.recommended, label, ignore or [])
        document = {"file": str(file), "left_out_columns": left_out, **selection.to_dict(), "command": command}
        head = {
            "Rows": f"{selection.n_compared:,} of {selection.n_rows:,}, {selection.n_repetitions} repetitions",
            "Left out": ", ".join(left_out),
        }
        tail = {
            "Recommended": selection.recommended,
            "Why": f"{selection} {_REGRET}",
            "Anomalies": str(selection.evidence),
        }
        console.result(document, Group(facts(head), _table(selection), facts(tail), Text()), command)


def _command(file: Path, detector: str, label: str | None, ignore: list[str]) -> str:
    words = ["whitecrow", "fit", str(file), "--detector", detector]
    words += ["--label", label] if label is not None else []
    words += ["--ignore", *ignore] if ignore else []
    return shlex.join([*words, "-o", "model.safetensors"])


def _table(selection: "Selection") -> RenderableType:
    kinds = list(selection.candidates[0].auroc)
    heads = ["Candidate", *kinds, "stability", "top 5 %", "consensus", "wins", "seconds"]
    rows: list[list[Any]] = [
        [
            Text(c.detector, "bold" if c.detector == selection.recommended else "not bold"),
            *(f"{value:.2f}" for value in c.auroc.values()),
            f"{c.stability:.2f}",
            f"{c.overlap:.2f}",
            f"{c.consensus:.2f}",
            "" if math.isnan(c.wins) else percent(c.wins),
            f"{c.seconds:.1f}",
        ]
        for c in selection.candidates
    ]
    table: Table = listing(heads, rows, right=heads[1:])
    table.caption = (
        f"{', '.join(kinds)}: AUROC of synthetic anomalies of that kind. stability: rank correlation of two fits to "
        "other rows; top 5 %: what their highest scores have in common. consensus: rank correlation with the other "
        "candidates. wins: share of resampled repetitions."
    )
    table.caption_justify = "left"
    return table

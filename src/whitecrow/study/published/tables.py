"""What is known of a published table: its figures with their sources, and the studies to compare them with."""

import csv
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from whitecrow.core.errors import FileFormatError
from whitecrow.core.registry import unknown_name

__all__ = ["EVIDENCE", "PublishedFigure", "Table", "load_table", "read_published", "table_names"]

EVIDENCE = {
    "paper": "as the publication is known to print it, not read there again: check it before you cite it",
    "code": "read in the authors' public code or its committed output",
    "measured": "measured independently on the original's rows",
    "file": "read from the file given",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """One figure of a published table.

    Attributes
    ----------
    method : str
        What the table calls the method.
    dataset : str
        Data set, by our name.
    share : float
        Share of injected anomalies in training.
    figure : str
        Which of :func:`whitecrow.study.figures.figures` it is compared with.
    value, std : float
        From 0 to 1; the spread over runs is NaN where none is known.
    runs : int or None
        Number of runs, where it is known.
    ours : tuple of str
        Titles of the detectors that it is compared with; empty where there is none of its kind.
    source, evidence, caveat : str
        Where it stands, how we know it (see ``EVIDENCE``), and what to keep in mind.
    """

    method: str
    dataset: str
    figure: str
    value: float
    source: str
    evidence: str
    share: float = 0.0
    std: float = math.nan
    runs: int | None = None
    ours: tuple[str, ...] = ()
    caveat: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A published table, and how it is run again.

    Attributes
    ----------
    name, title, source : str
        Short name, heading, and whom to cite.
    figures : tuple of str
        Figures that are compared.
    differences : tuple of str
        How their protocol and ours differ.
    studies : tuple of dict
        Documents of :class:`whitecrow.study.plan.Study`, with names of their own within the table.
    quick : dict
        What the quick variant changes: ``seeds``, ``max_train``, ``options``, ``contamination``, the ``data`` it
        keeps, and the titles it goes ``without``.
    published : tuple of PublishedFigure
        The figures; empty where they are read from a file.
    columns : dict of str to tuple of str
        For those: titles of our detectors by column of the file.
    """

    name: str
    title: str
    source: str
    figures: tuple[str, ...]
    differences: tuple[str, ...]
    studies: tuple[dict[str, Any], ...]
    quick: dict[str, Any]
    published: tuple[PublishedFigure, ...] = ()
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)


def table_names() -> list[str]:
    """Return the names of the tables, in alphabetical order."""
    folder = files("whitecrow.study.published")
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load_table(name: str) -> Table:
    """Return a table by name.

    Raises
    ------
    UnknownNameError
        If there is no such table; the message lists them.
    """
    if name not in table_names():
        raise unknown_name("table", name, table_names())
    file = files("whitecrow.study.published").joinpath(f"{name}.toml")
    document = tomllib.loads(file.read_text("utf-8"))
    figures = tuple(document["figures"])
    published = [
        PublishedFigure(
            method=method["name"],
            dataset=entry["data"],
            share=entry.get("share", 0.0),
            figure=entry.get("figure", figures[0]),
            value=entry["value"],
            std=entry.get("std", math.nan),
            runs=method.get("runs"),
            ours=tuple(method.get("ours", ())),
            source=method.get("source", document["source"]),
            evidence=method["evidence"],
            caveat=" ".join(text for text in (method.get("caveat", ""), entry.get("caveat", "")) if text),
        )
        for method in document.get("method", ())
        for entry in method["figures"]
    ]
    return Table(
        name=name,
        title=document["title"],
        source=document["source"],
        figures=figures,
        differences=tuple(document["differences"]),
        studies=tuple(document["study"]),
        quick=document["quick"],
        published=tuple(published),
        columns={column: tuple(ours) for column, ours in document.get("columns", {}).items()},
    )


def read_published(path: str | Path, figure: str, columns: Mapping[str, Sequence[str]]) -> tuple[PublishedFigure, ...]:
    """Read published figures from a CSV file: a column ``dataset``, and one for each method, in percent.

    Parameters
    ----------
    path : path
        The file.
    figure : str
        Which figure it holds.
    columns : mapping of str to sequence of str
        Titles of our detectors by column. Other columns are left out, and so are empty cells.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no such table.
    """
    file = Path(path)
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{file} cannot be read as CSV: {error}.") from error
    known = [column for column in columns if rows and column in rows[0]]
    if not known or "dataset" not in rows[0]:
        raise FileFormatError(
            f"{file} is no table of published figures: it needs a column dataset and at least one of "
            f"{', '.join(columns)}."
        )
    return tuple(
        PublishedFigure(
            method=column,
            dataset=str(row["dataset"]).strip().lower(),
            figure=figure,
            value=_share(file, row["dataset"], column, row[column]),
            ours=tuple(columns[column]),
            source=file.name,
            evidence="file",
        )
        for row in rows
        for column in known
        if (row[column] or "").strip()
    )


def _share(file: Path, dataset: str, column: str, text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:
        raise FileFormatError(f"{file}: {column} on {dataset} is {text!r}; accepted are percents, from 0 to 100.")
    return percent / 100

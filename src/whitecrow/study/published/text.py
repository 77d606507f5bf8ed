"""A reproduction in words and cells, for the terminal and for Markdown."""

import math
from collections.abc import Sequence

from whitecrow.study.figures import figure
from whitecrow.study.published.rows import Reproduction, Row
from whitecrow.study.published.tables import EVIDENCE

__all__ = ["LEFT", "cells", "heads", "markdown", "mean_cells", "mean_heads", "references", "remarks", "title"]

LEFT = ("Data set", "Detector", "Figure", "Published by", "Band", "Beside")  # columns of words
_MANY_SETS = 4  # beyond which means over the data sets are shown


def title(reproduction: Reproduction) -> str:
    """Return the heading."""
    return f"{reproduction.table.title}{', QUICK' if reproduction.quick else ''}"


def remarks(reproduction: Reproduction) -> list[str]:
    """Return what to know before reading: whether it is quick, how it is measured, what differs, what is missing."""
    table, less = reproduction.table, reproduction.table.quick
    said = []
    if reproduction.quick:
        caps = [f"at most {less['seeds']} seeds"]
        caps += [f"at most {less['max_train']:,} training rows"] if "max_train" in less else []
        caps += [f"{name} = {value:,}" for name, value in less.get("options", {}).items()]
        caps += ["without the published hyperparameters"] if "without" in less else []
        said.append(
            f"Quick: {', '.join(caps)}. These are not the figures of the table; run it without --quick for them."
        )
    for name in table.figures:
        entry = figure(name)
        said.append(f"{entry.title}, in percent. {entry.description} {entry.uses_test_labels}".strip())
    said.append(
        "Mean ± standard deviation over seeds. Inside: ours is no further from the published mean than two of its "
        "standard deviations, or three points, whichever is more."
    )
    if not table.published:
        said.append(f"No published figures were given: give their file with --published. They are from {table.source}.")
    said += table.differences
    said += reproduction.notes
    if reproduction.missing:
        said.append(f"Absent here, and left out: {', '.join(reproduction.missing)}.")
    return said


def references(reproduction: Reproduction) -> dict[str, int]:
    """Return the sources and the caveats of the published figures, each with its number."""
    numbers: dict[str, int] = {}
    for row in reproduction.rows:
        for text in _texts(row):
            numbers.setdefault(text, len(numbers) + 1)
    return numbers


def heads(reproduction: Reproduction) -> list[str]:
    """Return the heads of the columns of :func:`cells`."""
    ours = "Ours, quick" if reproduction.quick else "Ours"
    several = ["Figure"] * (len(reproduction.table.figures) > 1)
    injected = ["Injected"] * _injected(reproduction)
    return ["Data set", "Detector", *several, *injected, ours, "Seeds", "Published", "Diff.", "Band", "Published by"]


def cells(reproduction: Reproduction) -> list[list[str]]:
    """Return the rows as texts; figures in percent."""
    numbers = references(reproduction)
    shown = []
    for row in reproduction.rows:
        theirs = row.published
        marks = ", ".join(str(numbers[text]) for text in _texts(row))
        line = [row.dataset, row.detector or "none"]
        line += [figure(row.figure).title] * (len(reproduction.table.figures) > 1)
        line += [f"{100 * row.share:g} %"] * _injected(reproduction)
        line += [_figure(row.ours, row.ours_std), _seeds(row)]
        line += ["", ""] if theirs is None else [_figure(theirs.value, theirs.std), _signed(row.difference)]
        line += [f"{row.verdict} ±{100 * row.band:.1f}" if row.verdict else ""]
        line += ["" if theirs is None else f"{theirs.method} [{marks}]"]
        shown.append(line)
    return shown


def mean_heads() -> list[str]:
    """Return the heads of the columns of :func:`mean_cells`."""
    return ["Detector", "Beside", "Data sets", "Ours", "Published", "Diff."]


def mean_cells(reproduction: Reproduction) -> list[list[str]]:
    """Return the means over data sets as texts; nothing for a table of few data sets."""
    if len({row.dataset for row in reproduction.rows}) <= _MANY_SETS:
        return []
    return [
        [
            mean.detector,
            mean.method,
            str(mean.n),
            _figure(mean.ours),
            _figure(mean.published),
            _signed(mean.ours - mean.published),
        ]
        for mean in reproduction.means()
    ]


def markdown(reproduction: Reproduction) -> str:
    """Return the Markdown document."""
    blocks = [f"# {_escaped(title(reproduction))}"]
    blocks += ["\n".join(f"- {_escaped(text)}" for text in remarks(reproduction))]
    blocks += [_table(heads(reproduction), cells(reproduction))]
    means = mean_cells(reproduction)
    blocks += [f"## Means over the data sets\n\n{_table(mean_heads(), means)}"] if means else []
    listed = references(reproduction)
    blocks += ["## Sources", "\n".join(f"{n}. {_escaped(text)}" for text, n in listed.items())] if listed else []
    return "\n\n".join(blocks) + "\n"


def _texts(row: Row) -> list[str]:
    theirs = row.published
    if theirs is None:
        return []
    runs = "" if theirs.runs is None else f"; {theirs.runs} run{'s' * (theirs.runs > 1)}"
    return [f"{theirs.source}: {EVIDENCE[theirs.evidence]}{runs}.", *([theirs.caveat] if theirs.caveat else [])]


def _injected(reproduction: Reproduction) -> bool:
    return any(row.share for row in reproduction.rows)


def _figure(value: float, std: float = math.nan) -> str:
    if math.isnan(value):
        return "–"
    return f"{100 * value:.1f}" + ("" if math.isnan(std) else f" ± {100 * std:.1f}")


def _signed(difference: float) -> str:
    return "" if math.isnan(difference) else f"{100 * difference:+.1f}"


def _seeds(row: Row) -> str:
    if not row.planned:
        return ""
    done = f"{row.seeds}" if row.seeds == row.planned else f"{row.seeds} of {row.planned}"
    return done + (f", {row.failed} failed" if row.failed else "")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---" if column in LEFT else "---:" for column in columns]
    lines = [columns, rule, *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

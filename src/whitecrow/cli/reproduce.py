"""``whitecrow reproduce``: published tables beside ours."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, Parameter
from rich.console import Group, RenderableType
from rich.text import Text

from whitecrow.cli.console import Options, clean
from whitecrow.cli.figures import listing
from whitecrow.cli.streaming import check_output
from whitecrow.cli.study import run_shown

if TYPE_CHECKING:
    from whitecrow.study.published.rows import Reproduction

__all__ = ["app"]

app = App(
    name="reproduce",
    help="Run published tables again: our figures beside the published ones, and where those are from.",
    default_parameter=Parameter(negative=()),
)

_NAMED = 4  # data sets that are absent; more are counted
_RESULTS = Path("results")


@app.command(name="list")
def list_tables(
    *,
    data: str | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """List the tables, the data sets they need, and which of those are absent.

    Parameters
    ----------
    data
        Folder of the named data sets; by default that of WHITECROW_DATA, then the cache.
    """
    from whitecrow.study.published.tables import load_table, table_names
    from whitecrow.study.reproduce import absent_data, needed_data

    with options.console() as console:
        tables = [load_table(name) for name in table_names()]
        entries = [
            {
                "name": table.name, "title": table.title, "source": table.source, "figures": table.figures,
                "data": needed_data(table), "absent": absent_data(table, root=data),
                "published": "in a file to give" if table.columns else "included",
            }
            for table in tables
        ]  # fmt: skip
        rows = [(e["name"], e["title"], e["published"], _absent(e["absent"], e["data"])) for e in entries]
        console.result(
            {"tables": entries},
            listing(["Name", "Table", "Published figures", "Absent data"], rows),
            Text("Run one with: whitecrow reproduce NAME --quick, in minutes; without --quick, in hours.", "dim"),
        )


def _absent(absent: list[str], needed: list[str]) -> str:
    if len(absent) <= _NAMED:
        return ", ".join(absent) or "none"
    return f"all {len(needed)}" if len(absent) == len(needed) else f"{len(absent)} of {len(needed)}"


@app.default
def reproduce(
    name: str,
    /,
    *,
    quick: bool = False,
    store: Path = _RESULTS,
    jobs: int = 2,
    data: str | None = None,
    published: Path | None = None,
    figure: str | None = None,
    markdown: Path | None = None,
    stored: bool = False,
    retry_failed: bool = False,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Run a published table again and show it beside ours. It may be stopped; the same command goes on from there.

    Parameters
    ----------
    name
        Name of a table; see: whitecrow reproduce list.
    quick
        Fewer seeds and rows: minutes instead of hours. Such figures are named quick, and stored apart.
    store
        Folder with the results.
    jobs
        Blocks of cells that run at once.
    data
        Folder of the named data sets; by default that of WHITECROW_DATA, then the cache.
    published
        CSV file with the published figures, for the ADBench tables: a column dataset and one for each method.
    figure
        Figure that this file holds, for example average_precision; by default auroc.
    markdown
        Markdown file to write.
    stored
        Run nothing; show what the store holds so far.
    retry_failed
        Run cells that failed before once more.
    """
    from whitecrow.core.files import write_bytes
    from whitecrow.study.published import text
    from whitecrow.study.reproduce import compare, plan_table
    from whitecrow.study.store import Store

    with options.console() as console:
        if markdown is not None:
            check_output("--markdown", markdown, (".md",))
        plan = plan_table(
            name, folder=store, quick=quick, root=data, published=published, figure=figure, prepare=not stored
        )
        opened = Store(store, create=not stored)
        summaries = [] if stored else [
            run_shown(console, study, opened, root=data, jobs=jobs, retry_failed=retry_failed) for study in plan.studies
        ]  # fmt: skip
        for summary in summaries:
            for error, n in summary.errors.items():
                console.note(f"{n:,} cells failed: {error}")
        reproduction = compare(plan, opened)
        if markdown is not None:
            write_bytes(markdown, text.markdown(reproduction))
        console.result(_document(reproduction, [study.name for study in plan.studies]), *_shown(reproduction))


def _document(reproduction: "Reproduction", studies: list[str]) -> dict[str, Any]:
    from whitecrow.study.published import text

    table = reproduction.table
    return {
        "table": table.name, "title": table.title, "source": table.source, "quick": reproduction.quick,
        "quick_caps": table.quick if reproduction.quick else None, "figures": table.figures, "studies": studies,
        "missing": reproduction.missing, "remarks": text.remarks(reproduction),
        "rows": [row.document() for row in reproduction.rows],
        "means": [asdict(mean) for mean in reproduction.means()],
    }  # fmt: skip


def _shown(reproduction: "Reproduction") -> list[RenderableType]:
    from whitecrow.study.published import text

    heads, means = text.heads(reproduction), text.mean_cells(reproduction)
    right = [head for head in heads if head not in text.LEFT]
    parts: list[RenderableType] = [
        listing(heads, text.cells(reproduction), title=text.title(reproduction), right=right)
    ]
    if means:
        heads = text.mean_heads()
        right = [head for head in heads if head not in text.LEFT]
        parts.append(listing(heads, means, title="Means over the data sets", right=right))
    remarks = [f"- {said}" for said in text.remarks(reproduction)]
    sources = [f"[{n}] {source}" for source, n in text.references(reproduction).items()]
    return [*parts, Group(*(Text(clean(line)) for line in remarks)), Group(*(Text(clean(s), "dim") for s in sources))]

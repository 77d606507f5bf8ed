"""``whitecrow data``: data sets by name, simulated traffic, and what is in a file."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Group
from rich.text import Text

from whitecrow.cli.console import Bar, Options, clean
from whitecrow.cli.figures import facts, listing
from whitecrow.cli.score import FORMATS
from whitecrow.cli.streaming import check_output
from whitecrow.cli.wording import percent
from whitecrow.core.registry import unknown_name
from whitecrow.data.labels import require_columns

__all__ = ["app"]

app = App(name="data", help="List, fetch, simulate and describe data.", default_parameter=Parameter(negative=()))


@app.command(name="list")
def list_data(
    *,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """List the data sets that are known by name, and whether they are here."""
    from whitecrow.data.datasets import dataset_entries

    with options.console() as console:
        entries = dataset_entries()
        rows = [
            (
                item["name"],
                item["kind"],
                f"{item['rows']:,}",
                f"{item['columns']:,}",
                percent(item["anomaly_share"]),
                "here" if item["available"] else "fetch" if item["fetchable"] else "by hand",
                item["description"],
            )
            for item in entries
        ]
        console.result(
            {"datasets": entries},
            listing(
                ["Name", "Kind", "Rows", "Columns", "Anomalies", "State", "What it is"],
                rows,
                right=["Rows", "Columns", "Anomalies"],
            ),
            Text("fetch: whitecrow data fetch NAME.  by hand: place the file below WHITECROW_DATA.", "dim"),
        )


@app.command
def fetch(
    name: str,
    /,
    *,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Download a data set into the cache and verify its checksum.

    Parameters
    ----------
    name
        Name of a data set; see: whitecrow data list.
    """
    from whitecrow.data.datasets import dataset_entries, fetch_dataset

    with options.console() as console:
        entries = {item["name"]: item for item in dataset_entries()}
        if name not in entries:
            raise unknown_name("data set", name, list(entries))
        item = entries[name]
        document = {"name": name, "downloaded": not item["available"], "folder": None, "licence": item["licence"]}
        if item["available"]:
            console.summary(document, Text(f"{name} is here already; nothing was downloaded."))
            return
        with console.working(f"Fetching {name}") as bar:
            document["folder"] = str(fetch_dataset(name, progressbar=_Download(bar)))
        console.summary(document, facts({"Data set": name, "Folder": document["folder"], "Licence": item["licence"]}))


class _Download:
    """What pooch expects of a progress bar, shown by ours."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._done, self._total = bar, 0, 0

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, size: int) -> None:
        self._total = size
        self._bar.update(total=size)

    def update(self, size: int) -> None:
        self._done += size
        self._bar.update(done=self._done)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Do nothing: the bar outlives the file."""


@app.command
def simulate(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    rows: int = 20_000,
    attack_rate: float = 0.02,
    seed: int = 0,
    days: int = 7,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Write simulated network connections with labelled attacks (SYNTHETIC data).

    Parameters
    ----------
    output
        File to write: .parquet, .csv, .csv.gz, .jsonl or .ndjson.
    rows
        Connections.
    attack_rate
        Share of attacks among them, from 0 to 0.5.
    seed
        The same seed and numbers give the same file.
    days
        Days that the connections spread over.
    """
    with options.console() as console:
        check_output("--output", output, FORMATS)
        with console.working(f"Simulating {rows:,} connections"):
            from whitecrow.data import TableWriter
            from whitecrow.data.traffic import traffic_table

            table = traffic_table(rows=rows, attack_rate=attack_rate, seed=seed, days=days)
            with TableWriter(output) as writer:
                writer.write(table)
        counted = table["label"].value_counts(sort=True)
        counts = dict(zip(counted["label"].to_list(), counted["count"].to_list(), strict=True))
        lines = {
            "Simulated": f"{output} (synthetic: no evidence about a real network)",
            "Rows": f"{table.height:,}, {table.width} columns, the last of them label",
            "Labels": ", ".join(f"{name} {n:,}" for name, n in counts.items()),
        }
        document = {"output": str(output), "rows": table.height, "columns": table.columns, "labels": counts}
        console.summary({**document, "synthetic": True}, facts(lines))


@app.command
def describe(
    file: Path,
    /,
    *,
    label: str | None = None,
    normal: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Describe the columns of a file, and warn of those that would mislead a detector.

    Parameters
    ----------
    file
        Table: CSV, TSV, ARFF (also gzipped), Parquet, NPZ, NPY or MAT.
    label
        Column with labels: other columns that give the label away are pointed out.
    normal
        Values of the label column that mean normal; by default 0, false, no, normal, benign and "-".
    """
    from whitecrow.data import read_table
    from whitecrow.data.labels import read_labels
    from whitecrow.workspace.column_profile import profile_columns

    with options.console() as console:
        with console.working(f"Reading {file.name}") as bar:
            table = read_table(file)
            require_columns("--label", [label] if label is not None else [], table.columns, file)
            bar.update("Describing the columns")
            labels = None if label is None else read_labels(table[label], normal)
            columns = profile_columns(table, label, None if labels is None else labels.y)
        document: dict[str, Any] = {
            "file": str(file),
            "rows": table.height,
            "columns": [column.to_dict() for column in columns],
            "labels": None if labels is None else labels.to_dict(),
        }
        rows = [
            (
                Text(clean(column.name), "bold"),
                column.kind,
                percent(column.missing) if column.missing else "",
                f"{column.distinct:,}",
                Text.assemble(clean(column.examples), *(("\n" + w, "yellow") for w in column.warnings)),
            )
            for column in columns
        ]
        head = {
            "File": str(file),
            "Rows": f"{table.height:,}, {table.width} columns",
            "Labels": "" if labels is None else str(labels),
        }
        body = listing(["Column", "Type", "Missing", "Distinct", "Examples"], rows, right=["Missing", "Distinct"])
        console.result(document, Group(facts(head), body))

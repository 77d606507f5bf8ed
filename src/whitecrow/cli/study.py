"""``whitecrow study``: run, watch, show, report and export studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App
from rich.console import RenderableType

from whitecrow.cli.console import Console, Options
from whitecrow.cli.figures import facts, listing
from whitecrow.cli.streaming import check_output, require_file
from whitecrow.core.errors import ParameterError

if TYPE_CHECKING:
    from whitecrow.study.plan import Study
    from whitecrow.study.runner import Progress, Summary
    from whitecrow.study.store import Store

__all__ = ["app", "run_shown", "told"]

app = App(name="study", help="Compare detectors over data sets, contamination and seeds, with honest statistics.")

_RESULTS = Path("results")
_SHOWN_ERRORS = 5


@app.command
def run(
    file: Path,
    /,
    *,
    store: Path = _RESULTS,
    jobs: int = 2,
    backend: Literal["loky", "dask"] = "loky",
    cluster: str | None = None,
    data: str | None = None,
    retry_failed: bool = False,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Run what the store lacks of a study. It may be stopped at any time; the same command goes on from there.

    Parameters
    ----------
    file
        Study: a .toml or .yaml file.
    store
        Folder with the results.
    jobs
        Blocks of cells that run at once.
    backend
        Processes of this machine, or a Dask cluster.
    cluster
        Address of the cluster's scheduler, for --backend dask.
    data
        Folder of the named data sets; by default that of WHITECROW_DATA, then the cache.
    retry_failed
        Run cells that failed before once more.
    """
    from whitecrow.study.plan import load_study
    from whitecrow.study.store import Store

    with options.console() as console:
        require_file(file)
        if (backend == "dask") != (cluster is not None):
            raise ParameterError("--backend dask and --cluster ADDRESS go together. Give both or neither.")
        study = load_study(file)
        summary = run_shown(
            console, study, Store(store), root=data, jobs=jobs, backend=backend, address=cluster,
            retry_failed=retry_failed,
        )  # fmt: skip
        console.summary(*told(study, summary, store))


@app.command
def status(
    *,
    store: Path = _RESULTS,
    study: str | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Say how far a study is.

    Parameters
    ----------
    store
        Folder with the results.
    study
        Name of the study; the latest by default.
    """
    with options.console() as console:
        opened = _open(store)
        chosen, keys = opened.study(study)
        finished = opened.finished()
        done = sum(finished.get(key, False) for key in keys)
        failed = sum(not finished.get(key, True) for key in keys)
        document = {
            "study": chosen.name, "studies": opened.studies(), "cells": len(keys), "done": done, "failed": failed,
            "missing": len(keys) - done - failed,
        }  # fmt: skip
        lines = {
            "Study": chosen.name,
            "Cells": f"{len(keys):,}: {done:,} done, {failed:,} failed, {document['missing']:,} missing",
            "Other studies": ", ".join(name for name in document["studies"] if name != chosen.name),
        }
        console.result(document, facts(lines))


@app.command
def show(
    *,
    store: Path = _RESULTS,
    study: str | None = None,
    figure: str | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Show one figure of a study: mean and standard deviation over the seeds.

    Parameters
    ----------
    store
        Folder with the results.
    study
        Name of the study; the latest by default.
    figure
        Figure to show, for example auroc; the study's first by default.
    """
    from whitecrow.study.summary import overview

    with options.console() as console:
        opened = _open(store)
        chosen, _ = opened.study(study)
        table = overview(opened, chosen.name, figure)
        title = f"{figure or chosen.figures[0]}, {chosen.name}"
        shown = listing(table.columns, table.rows(), title=title, whole=table.columns)
        console.result({"study": chosen.name, "figure": figure or chosen.figures[0], "rows": table.to_dicts()}, shown)


@app.command
def report(
    *,
    store: Path = _RESULTS,
    study: str | None = None,
    html: Path | None = None,
    markdown: Path | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Write the report of a study: one HTML page that is complete in itself, or Markdown.

    Parameters
    ----------
    store
        Folder with the results.
    study
        Name of the study; the latest by default.
    html
        Page to write, for example report.html.
    markdown
        Markdown file to write.
    """
    from whitecrow.study.report import write_html, write_markdown

    with options.console() as console:
        if html is None and markdown is None:
            raise ParameterError("whitecrow study report needs --html FILE, --markdown FILE, or both.")
        opened = _open(store)
        chosen, _ = opened.study(study)
        written = {}
        for option, path, suffixes, write in (
            ("--html", html, (".html", ".htm"), write_html),
            ("--markdown", markdown, (".md",), write_markdown),
        ):
            if path is not None:
                check_output(option, path, suffixes)
                with console.working(f"Writing {path.name}"):
                    write(opened, chosen.name, path)
                written[option.strip("-")] = str(path)
        console.summary({"study": chosen.name, **written}, facts({"Study": chosen.name, **written}))


@app.command
def export(
    output: Path,
    /,
    *,
    store: Path = _RESULTS,
    study: str | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Write the cells of a study to a .csv or .parquet file.

    Parameters
    ----------
    output
        File to write.
    store
        Folder with the results.
    study
        Name of the study; the latest by default.
    """
    with options.console() as console:
        check_output("OUTPUT", output, (".csv", ".parquet"))
        opened = _open(store)
        chosen, _ = opened.study(study)
        n = opened.export(output, chosen.name)
        lines = {"Study": chosen.name, "Cells": f"{n:,}", "File": str(output)}
        console.summary({"study": chosen.name, "cells": n, "output": str(output)}, facts(lines))


def run_shown(console: Console, study: "Study", store: "Store", **how: Any) -> "Summary":
    """Run a study under a progress bar."""
    from whitecrow.study.runner import run_study

    with console.working(f"Preparing {study.name}", 1.0) as bar:

        def follow(progress: "Progress") -> None:
            text = f"{study.name}: {progress.done:,} of {progress.total:,} cells"
            text += f", {progress.failed:,} failed" if progress.failed else ""
            text += f", {progress.latest}" if progress.latest else ""
            text += f", {_duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
            bar.update(text, progress.done / max(progress.total, 1))

        try:
            return run_study(study, store, on_progress=follow, **how)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped. Finished cells are kept in {store.folder}; the same command goes on from there."
            ) from None


def told(study: "Study", summary: "Summary", store: Path) -> tuple[dict[str, Any], RenderableType]:
    """Return what a run did, as a document and for the terminal."""
    document = {
        "study": study.name, "store": str(store), "cells": summary.total, "stored_before": summary.stored,
        "run": summary.done, "failed": summary.failed, "seconds": round(summary.seconds, 1), "errors": summary.errors,
    }  # fmt: skip
    errors = sorted(summary.errors.items(), key=lambda item: -item[1])
    lines = {
        "Study": study.name,
        "Cells": f"{summary.total:,}: {summary.stored:,} were stored, {summary.done:,} run, {summary.failed:,} of them "
        "failed",
        "Time": _duration(summary.seconds),
        "Errors": "\n".join(f"{n:,} × {error}" for error, n in errors[:_SHOWN_ERRORS]),
        "Next": f"whitecrow study report --store {store} --study {study.name} --html report.html",
    }
    return document, facts(lines)


def _open(folder: Path) -> "Store":
    from whitecrow.study.store import Store

    return Store(folder, create=False)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"

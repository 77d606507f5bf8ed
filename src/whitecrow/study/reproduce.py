"""Published tables run again: our figure beside the published one, where that is from, and the difference."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from whitecrow.core.errors import DatasetError, ParameterError
from whitecrow.data.datasets import dataset_entries, load_dataset
from whitecrow.study.figures import figure as figure_named
from whitecrow.study.plan import DataChoice, Study
from whitecrow.study.published.deepad import DEEPAD_SOURCES, write_deepad
from whitecrow.study.published.rows import Reproduction, Row
from whitecrow.study.published.tables import PublishedFigure, Table, load_table, read_published
from whitecrow.study.store import Store
from whitecrow.study.summary.results import Results, load_results

__all__ = ["Plan", "absent_data", "compare", "needed_data", "plan_table"]

# Data sets that are put together from others of the catalogue.
_COMPOSED = {"deepad-97278": ("target", DEEPAD_SOURCES, write_deepad)}
_ABOUT = ("n_train", "n_test", "prevalence")
_IN_PARTS = ("nsl-kdd",)  # may be here with fewer rows than the literature uses


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run for a table, on this machine.

    Attributes
    ----------
    table : Table
        The table, with the published figures.
    quick : bool
        Whether rows and seeds are capped.
    studies : tuple of Study
        To be run; data sets that are absent are left out.
    missing : tuple of str
        Data sets of the table that are absent.
    notes : tuple of str
        Data sets that are here in part only.
    """

    table: Table
    quick: bool
    studies: tuple[Study, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def needed_data(table: Table) -> list[str]:
    """Return the names of the data sets that a table takes."""
    names = dict.fromkeys(str(entry) for document in table.studies for entry in document["data"])
    return list(dict.fromkeys(part for entry in names for part in _parts(entry)))


def absent_data(table: Table, *, root: str | Path | None = None) -> list[str]:
    """Return which of them are not here; ``root`` as for :func:`whitecrow.data.load_dataset`."""
    here = _here(root)
    return [name for name in needed_data(table) if name not in here]


def plan_table(
    name: str,
    *,
    folder: str | Path,
    quick: bool = False,
    root: str | Path | None = None,
    published: str | Path | None = None,
    figure: str | None = None,
    prepare: bool = True,
) -> Plan:
    """Return what is to be run for a table, on the data sets that are here.

    Parameters
    ----------
    name : str
        One of :func:`whitecrow.study.published.tables.table_names`.
    folder : path
        Folder of the results; data sets that are composed of others are written to it.
    quick : bool, default=False
        Fewer seeds and rows. The figures are of smaller data, and stored apart from the full ones.
    root : path, optional
        Folder of the named data sets, as for :func:`whitecrow.data.load_dataset`.
    published : path, optional
        File with the published figures, for a table that comes without them.
    figure : str, optional
        Figure that this file holds; the table's by default.
    prepare : bool, default=True
        Whether composed data sets are written; needed before a run, not to show what is stored.

    Raises
    ------
    UnknownNameError
        If there is no such table or figure.
    ParameterError
        If a file or a figure is given for a table that has its own.
    DatasetError
        If none of the data sets is here.
    """
    table = load_table(name)
    if not table.columns and (published is not None or figure is not None):
        raise ParameterError(f"The table {name} comes with its published figures. Leave --published and --figure out.")
    if figure is not None:
        table = replace(table, figures=(figure_named(figure).name,))
    if published is not None:
        table = replace(table, published=read_published(published, table.figures[0], table.columns))
    here = _here(root)
    documents = [_quickened(table, document) if quick else _full(table, document) for document in table.studies]
    wanted = [Study.of(document) for document in documents if document["data"] and document["detectors"]]
    names = list(dict.fromkeys(choice.name for study in wanted for choice in study.data))
    missing = tuple(entry for entry in names if entry not in here)
    if len(missing) == len(names):
        needed = sorted({part for entry in missing for part in _parts(entry)})
        raise DatasetError(
            f"The table {name} needs one of {', '.join(missing)}, and none is here. Get them with: whitecrow data "
            f"fetch NAME, for {', '.join(needed)}; or give their folder with --data."
        )
    if prepare:
        for entry in set(names) & here & set(_COMPOSED):
            Path(folder).mkdir(parents=True, exist_ok=True)
            _COMPOSED[entry][2](_composed_file(folder, entry), root=root)
    studies = [
        replace(study, data=present)
        for study in wanted
        if (present := tuple(_located(choice, folder) for choice in study.data if choice.name in here))
    ]
    notes = _partial((entry for entry in names if entry in here), root)
    return Plan(table=table, quick=quick, studies=tuple(studies), missing=missing, notes=notes)


def compare(plan: Plan, store: Store) -> Reproduction:
    """Return the table with what a store holds of its studies; what has not been run has no figure."""
    stored, rows = set(store.studies()), []
    for study in plan.studies:
        results = load_results(store, study.name) if study.name in stored else None
        for choice in study.data:
            for detector in study.detectors:
                for share in study.contamination:
                    for name in plan.table.figures:
                        ours = _ours(study, results, choice, detector.title, share, name)
                        theirs = [p for p in plan.table.published if _matches(p, ours)]
                        rows += [replace(ours, published=p) for p in theirs] or [ours]
    run = {(choice.name, share) for study in plan.studies for choice in study.data for share in study.contamination}
    rows += [
        Row(dataset=p.dataset, detector="", figure=p.figure, share=p.share, published=p)
        for p in plan.table.published
        if not p.ours and (p.dataset, p.share) in run
    ]
    order = {name: place for place, name in enumerate(dict.fromkeys(row.dataset for row in rows))}
    ordered = tuple(sorted(rows, key=lambda row: order[row.dataset]))
    return Reproduction(table=plan.table, quick=plan.quick, rows=ordered, missing=plan.missing, notes=plan.notes)


def _full(table: Table, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a study under a name that tells tables apart."""
    return {**document, "name": f"{table.name}-{document['name']}", "figures": list(table.figures)}


def _quickened(table: Table, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a study with the quick variant's changes; it may be left without detectors."""
    less, changed = table.quick, _full(table, document)
    detectors = [{"name": entry} if isinstance(entry, str) else entry for entry in document["detectors"]]
    kept = [entry for entry in detectors if entry.get("label", entry["name"]) not in less.get("without", ())]
    changed |= {
        "name": f"{changed['name']}-quick",
        "seeds": min(less["seeds"], document["seeds"]),
        "options": {**document.get("options", {}), **less.get("options", {})},
        "data": [entry for entry in document["data"] if entry in less.get("data", document["data"])],
        "detectors": [{**entry, "max_train": less["max_train"]} if "max_train" in less else entry for entry in kept],
    }
    if "contamination" in document:
        changed["contamination"] = less.get("contamination", document["contamination"])
    return changed


def _here(root: str | Path | None) -> set[str]:
    """Return the names of the data sets that can be loaded, composed ones among them."""
    here = {item["name"] for item in dataset_entries(root=root) if item["available"]}
    return here | {name for name in _COMPOSED if here.issuperset(_parts(name))}


def _parts(name: str) -> tuple[str, ...]:
    return _COMPOSED[name][1] if name in _COMPOSED else (name,)


def _composed_file(folder: str | Path, name: str) -> Path:
    return Path(folder) / f"{name}.parquet"


def _located(choice: DataChoice, folder: str | Path) -> DataChoice:
    if choice.name not in _COMPOSED:
        return choice
    return replace(choice, file=str(_composed_file(folder, choice.name)), label=_COMPOSED[choice.name][0])


def _partial(names: Iterable[str], root: str | Path | None) -> tuple[str, ...]:
    """Return what the data sets that are here in part say of themselves."""
    usual = {item["name"]: item["description"] for item in dataset_entries(root=root)}
    said = ((name, load_dataset(name, root=root).description) for name in names if name in _IN_PARTS)
    return tuple(f"{name}: {text}" for name, text in said if text != usual[name])


def _ours(study: Study, results: Results | None, choice: DataChoice, title: str, share: float, name: str) -> Row:
    """Return our mean over the seeds that are done."""
    row = Row(dataset=choice.name, detector=title, figure=name, share=share)
    row = replace(row, planned=study.seeds if choice.seeds is None else min(choice.seeds, study.seeds))
    if results is None or choice.name not in results.datasets or title not in results.detectors:
        return row
    near = [place for place, value in enumerate(results.shares) if math.isclose(value, share)]
    if not near:
        return row
    place = results.datasets.index(choice.name), results.detectors.index(title), 0, near[0]
    values = results.figure(name)[place]
    done = np.isfinite(values)
    n = int(done.sum())
    about = {column: float(results.column(column)[place][done].mean()) for column in _ABOUT} if n else {}
    return replace(
        row,
        ours=float(values[done].mean()) if n else math.nan,
        ours_std=float(values[done].std(ddof=1)) if n > 1 else math.nan,
        seeds=n,
        failed=int(results.failed[place].sum()),
        **about,
    )


def _matches(published: PublishedFigure, row: Row) -> bool:
    same = (published.dataset, published.figure) == (row.dataset, row.figure)
    return same and math.isclose(published.share, row.share) and row.detector in published.ours

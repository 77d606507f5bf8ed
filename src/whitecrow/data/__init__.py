"""Readers and writers of files, the table encoder, named data sets, contamination, simulated traffic."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whitecrow.data.contamination import inject_contamination
    from whitecrow.data.datasets import Dataset, dataset_names, load_dataset
    from whitecrow.data.encoder import TableEncoder
    from whitecrow.data.readers import iter_batches, read_table
    from whitecrow.data.tables import as_table
    from whitecrow.data.traffic import simulate_traffic
    from whitecrow.data.writers import TableWriter

__all__ = [
    "Dataset",
    "TableEncoder",
    "TableWriter",
    "as_table",
    "dataset_names",
    "inject_contamination",
    "iter_batches",
    "load_dataset",
    "read_table",
    "simulate_traffic",
]

# Loaded on first use: the names of data sets are wanted where polars is not.
_MODULES = {
    "Dataset": "datasets",
    "TableEncoder": "encoder",
    "TableWriter": "writers",
    "as_table": "tables",
    "dataset_names": "datasets",
    "inject_contamination": "contamination",
    "iter_batches": "readers",
    "load_dataset": "datasets",
    "read_table": "readers",
    "simulate_traffic": "traffic",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

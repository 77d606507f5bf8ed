"""Honest studies: data sets, detectors, contamination shares and seeds under one protocol.

>>> from whitecrow.study import Study
>>> study = Study.of({"name": "small", "data": ["digits"], "detectors": ["knn", "pca"], "seeds": 3})
>>> len(study.cells)
6
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whitecrow.study.execution import run_block
    from whitecrow.study.leaks import LeakError
    from whitecrow.study.plan import Study, load_study
    from whitecrow.study.protocols import protocol, protocol_names
    from whitecrow.study.report import write_html, write_markdown
    from whitecrow.study.runner import run_study
    from whitecrow.study.selection import Selection, select
    from whitecrow.study.store import Store
    from whitecrow.study.summary import summarise

__all__ = [
    "LeakError",
    "Selection",
    "Store",
    "Study",
    "load_study",
    "protocol",
    "protocol_names",
    "run_block",
    "run_study",
    "select",
    "summarise",
    "write_html",
    "write_markdown",
]

# Loaded on first use: the command line names a study before it needs torch.
_MODULES = {
    "LeakError": "leaks",
    "Selection": "selection",
    "Store": "store",
    "Study": "plan",
    "load_study": "plan",
    "protocol": "protocols",
    "protocol_names": "protocols",
    "run_block": "execution",
    "run_study": "runner",
    "select": "selection",
    "summarise": "summary",
    "write_html": "report",
    "write_markdown": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

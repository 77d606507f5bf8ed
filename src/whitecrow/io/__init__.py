"""Model files: save a fitted detector, load it, look into it, and score batches of rows with it.

One ``.safetensors`` file holds everything. What is in it and what is checked says ``docs/model-files.md``; how
batches are scored on one machine and on many, ``docs/batch-scoring.md``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whitecrow.io.batches import score_batch
    from whitecrow.io.inspection import inspect
    from whitecrow.io.loading import load
    from whitecrow.io.saving import save

__all__ = ["inspect", "load", "save", "score_batch"]

# Loaded on first use: looking into a file takes no torch.
_MODULES = {"inspect": "inspection", "load": "loading", "save": "saving", "score_batch": "batches"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

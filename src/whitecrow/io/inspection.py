"""Look into a model file without its tensors and without its detector's class."""

import os
from pathlib import Path
from typing import Any

from whitecrow.io.container import opened, read_header
from whitecrow.io.document import FORMAT, read_document

__all__ = ["inspect"]


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what is in a model file, from its header alone: neither tensors nor torch are loaded.

    The header is checked in full, but not whether the tensors are the detector's own; :func:`whitecrow.load`
    does that.

    Parameters
    ----------
    path : path-like
        A file that ``detector.save(path)`` wrote.

    Returns
    -------
    dict
        Safe for ``json.dumps``: ``file``, ``bytes``, ``format``, ``detector`` (registry name),
        ``parameters``, ``spec``, ``columns`` (name and kind of each; none for images), ``threshold``,
        ``replica_seeds``, ``training`` (None for a detector without gradients), ``summary``, ``stored_rows`` and
        ``tensors`` (dtype and shape of each). Texts come from the file: column names may hold any character.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the header is truncated, malformed or hostile, or a newer whitecrow wrote the file.
    """
    with opened(path) as file:
        header = read_header(file)
        document = read_document(header)
    tensors = header.tensors
    return {
        "file": str(Path(path)),
        "bytes": header.size,
        "format": FORMAT,
        "detector": document.detector,
        "parameters": document.parameters,
        "spec": {"kind": document.spec.kind, "shape": list(document.spec.shape)},
        "columns": [{"name": c["name"], "kind": c["kind"]} for c in document.encoder.get("columns", [])],
        "threshold": {"value": document.threshold, "source": document.threshold_source},
        "replica_seeds": list(document.replica_seeds),
        "training": document.training,
        "summary": document.summary,
        "stored_rows": {name: tensors[name].shape[0] for name in ("calibration_scores", "fit_scores", "reference")},
        "tensors": {name: {"dtype": p.dtype, "shape": list(p.shape)} for name, p in tensors.items()},
    }

"""Checkpoints: the whole state of a fit at the end of an epoch, in one file that is data."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from whitecrow.core.errors import CheckpointError
from whitecrow.core.files import write_bytes

__all__ = ["Checkpoint"]

_FORMAT = "whitecrow-checkpoint-1"


def _checksum(tensors: dict[str, Tensor], document: dict[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class Checkpoint:
    """A file that a fit writes at the ends of epochs and takes up again.

    Parameters
    ----------
    path : str or Path
        Where it lies. It is replaced whole, so a killed process leaves the last complete one.
    fingerprint : str
        Identifies the detector, its parameters and the training data.
    every : float, default=5
        Least number of seconds between two writings; 0 writes after every epoch.
    """

    def __init__(self, path: str | Path, fingerprint: str, every: float = 5.0) -> None:
        self.path, self.fingerprint, self.every = Path(path), fingerprint, every
        self._pending: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._written = time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the tensors and the counters of the file, or None where there is none.

        Raises
        ------
        CheckpointError
            If the file is damaged, or belongs to another detector or other data, or its folder is absent.
        """
        if not self.path.parent.is_dir():
            raise CheckpointError(f"There is no folder for the checkpoint {self.path}. Create it first.")
        if not self.path.exists():
            return None
        try:
            content = self.path.read_bytes()
            tensors = load(content)
            length = int.from_bytes(content[:8], "little")
            document = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["whitecrow"])
            if document["format"] != _FORMAT or document.pop("checksum") != _checksum(tensors, document):
                raise ValueError("wrong format or checksum")
        except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
            raise CheckpointError(
                f"The checkpoint {self.path} cannot be read ({error}). Delete it to start the fit anew."
            ) from error
        if document["fingerprint"] != self.fingerprint:
            raise CheckpointError(
                f"The checkpoint {self.path} belongs to a fit with other parameters, other data or another "
                "version. Delete it, or give another path, to start anew."
            )
        return tensors, document

    def offer(self, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
        """Keep the state of a completed epoch, and write it if the last writing is long enough ago."""
        self._pending = ({k: t.detach().clone() for k, t in tensors.items()}, document)
        if time.monotonic() - self._written >= self.every:
            self.flush()

    def flush(self) -> None:
        """Write the state that was kept last, if it is not written yet."""
        if self._pending is None:
            return
        tensors, document = self._pending
        document = {"format": _FORMAT, "fingerprint": self.fingerprint, **document}
        document["checksum"] = _checksum(tensors, document)
        write_bytes(self.path, save(tensors, {"whitecrow": json.dumps(document)}))
        self._pending, self._written = None, time.monotonic()

    def remove(self) -> None:
        """Delete the file: the fit is complete."""
        self._pending = None
        self.path.unlink(missing_ok=True)

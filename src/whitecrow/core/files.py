"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from whitecrow.core.errors import DataError

__all__ = ["atomic_write", "write_bytes"]


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on success it becomes ``path``.

    The temporary file is flushed to the disk and then renamed, so a reader finds the old file or the whole
    new one. If the block raises anything, Ctrl-C included, the temporary file is removed and ``path`` is
    left as it was.

    Parameters
    ----------
    path : path-like
        Final file. A symbolic link is followed. An existing file is replaced.

    Yields
    ------
    pathlib.Path
        Empty file to write to.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    DataError
        If ``path`` is a folder or a device.
    """
    final = Path(path).resolve()
    if final.exists() and not final.is_file():
        # Renaming over a device such as /dev/null would replace the device itself.
        raise DataError(f"{path} is not a regular file. Give the name of a file to write.")
    if not final.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: the folder {final.parent} does not exist. Create it first.")
    draft = final.with_name(f".{final.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        draft.touch(exist_ok=False)
        mode = draft.stat().st_mode
        yield draft
        draft.chmod(mode)  # some writers replace the draft by a file that only its owner may read
        _flush(draft, os.O_RDWR)
        draft.replace(final)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    # The rename itself lasts through a power cut only once the folder is flushed; not every system can.
    with suppress(OSError):
        _flush(final.parent, os.O_RDONLY)


def write_bytes(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write ``data`` to ``path`` whole or not at all; text is written as UTF-8.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    DataError
        If ``path`` is a folder or a device.
    """
    with atomic_write(path) as draft:
        draft.write_bytes(data.encode() if isinstance(data, str) else data)


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

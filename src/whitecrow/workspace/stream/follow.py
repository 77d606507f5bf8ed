"""The lines of a text file to which another program writes."""

import os
from collections import deque
from pathlib import Path
from typing import BinaryIO

from whitecrow.core.errors import DataError

__all__ = ["Follower"]

_READ_BYTES = 1 << 18
_LONGEST_LINE = 1 << 20


class Follower:
    """Hands out the whole lines of a file as they come, and goes on with the file that takes its place.

    A line is whole once its line end is written. When the file has been replaced by another of its name, or cut short,
    the new content is read from its beginning, after the last line of the old one. A file that was cut and had grown
    beyond its old length before the next look cannot be told from one that only grew.

    Parameters
    ----------
    path : path-like
        A text file; it may be empty.

    Attributes
    ----------
    restarts : int
        How many times the file was replaced or cut.
    broken : int
        Lines that were passed over: longer than a mebibyte, or without an end when their file was replaced.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If it is a folder or a device.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path.name} does not exist. Check the name and the folder.")
        if not self.path.is_file():
            raise DataError(f"{self.path.name} is not a regular file. Give the name of a file that grows.")
        self.restarts = self.broken = 0
        self._begin(self.path.open("rb"))

    def lines(self, n: int) -> tuple[list[bytes], bool]:
        """Return the next lines without their ends, and whether the first of them is the first of its file.

        Parameters
        ----------
        n : int
            At most so many; fewer where no more are whole, or where a file ends and another begins.

        Raises
        ------
        DataError
            If the file that has taken its place may not be read.
        """
        while len(self._whole) < n and self._read():
            pass
        taken = [self._whole.popleft() for _ in range(min(n, len(self._whole)))]
        first = bool(taken) and self._fresh
        self._fresh = self._fresh and not taken
        return taken, first

    def rewind(self) -> None:
        """Go back to the first line of the present file, or to where it was left by :meth:`skip`."""
        self._stream.seek(self._origin)
        self.broken = self._broken_before
        self._begin(self._stream, self._origin)

    def skip(self) -> None:
        """Pass over what is whole by now; a line that is being written comes once it is."""
        end = self._stream.seek(0, os.SEEK_END)
        # No line is longer than this, so the last line end is in it if there is one.
        begin = self._stream.seek(max(end - _LONGEST_LINE, 0))
        origin = begin + self._stream.read(end - begin).rfind(b"\n") + 1
        self._stream.seek(origin)
        self._begin(self._stream, origin)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _begin(self, stream: BinaryIO, origin: int = 0) -> None:
        self._stream, self._origin = stream, origin
        self._broken_before = self.broken
        self._whole: deque[bytes] = deque()
        self._rest = b""
        self._too_long = False
        self._fresh = not origin

    def _read(self) -> bool:
        """Read on; return whether there was anything, a new file included."""
        # Looked at before the last read, so that nothing written to the old file in between is lost.
        replaced = not self._whole and self._replaced()
        chunk = self._stream.read(_READ_BYTES)
        if chunk:
            self._split(chunk)
            return True
        if not replaced or not self.path.is_file():
            return False  # nothing new, or a pipe, whose opening would wait for its writer
        try:
            successor = self.path.open("rb")
        except FileNotFoundError:
            return False  # gone between the look and now
        except OSError as error:
            raise self._unreadable(error) from error
        self.broken += bool(self._rest) and not self._too_long
        self.restarts += 1
        self._stream.close()
        self._begin(successor)
        return True

    def _split(self, chunk: bytes) -> None:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if whole and self._too_long:
            del whole[0]
            self._too_long = False
        self._whole.extend(whole)
        if len(self._rest) > _LONGEST_LINE or self._too_long:
            self.broken += not self._too_long
            self._too_long, self._rest = True, b""

    def _replaced(self) -> bool:
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False  # between the removal of the old file and the first line of the new one
        except OSError as error:
            raise self._unreadable(error) from error
        mine = os.fstat(self._stream.fileno())
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino) or now.st_size < self._stream.tell()

    def _unreadable(self, error: OSError) -> DataError:
        return DataError(f"{self.path.name} can no longer be read: {error.strerror}. Let its owner allow it.")

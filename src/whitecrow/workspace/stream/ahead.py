"""Records of a stream that are scored before they are asked for."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DataError
from whitecrow.workspace.stream.sources import Source

__all__ = ["Reserve", "Score", "Scored"]

_BLOCK = 1024  # rows that most detectors compute at once, padded if there are fewer

Score = Callable[[Any, pl.DataFrame], Any]
"""Takes a detector and n records without their labels, returns n scores."""


class Scored(NamedTuple):
    """Records with their scores, and the same records as the detectors saw them; both of n rows.

    ``records`` has the columns ``position``, ``label`` (1, 0 or null), ``family`` (text or null), and ``score NAME``
    for each detector.
    """

    records: pl.DataFrame
    features: pl.DataFrame


class Reserve:
    """Takes records from a source in large blocks, has them scored, and hands them out in any numbers.

    A detector computes in blocks of a fixed size, in which a few records cost as much as some hundred.

    Parameters
    ----------
    source : Source
        Nobody else takes from it.
    detectors : mapping of str to detector
        By name.
    score : callable
        Returns the scores of records without their labels, [n].
    ahead : int
        Records to score at once, where there are as many; for large demands up to 1,024.
    background : bool
        Score the next block in a thread of its own while the present one is handed out.
    """

    def __init__(
        self, source: Source, detectors: Mapping[str, Any], score: Score, ahead: int, *, background: bool
    ) -> None:
        self._source, self._detectors, self._score, self._ahead = source, dict(detectors), score, ahead
        self._held: Scored | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="race") if background else None
        self._coming: Future[tuple[Scored, bool]] | None = None

    def take(self, n: int) -> Scored:
        """Return the next records, at most ``n``: fewer at the end of the source, or while no more have come."""
        full = True
        while full and (lacking := n - self._n_held) > 0:
            full = self._receive(lacking)
        if self._held is None:
            full = self._receive(1)  # the columns of a frame of no records
        assert self._held is not None
        records, features = self._held
        self._held = Scored(records.slice(n), features.slice(n))
        # A source that had no more when last asked is asked when it is needed: a few records cost a whole block.
        if self._pool is not None and full and self._coming is None and self._n_held < self._size(n):
            self._coming = self._pool.submit(self._scored, self._size(n))
        return Scored(records.head(n), features.head(n))

    def settle(self) -> None:
        """Wait for the block that is being scored; after it, nothing uses the source until the next ``take``."""
        coming, self._coming = self._coming, None
        if coming is not None:
            with suppress(Exception):  # the source is where it was, so the next take will meet it again
                self._hold(coming.result()[0])

    def forget(self) -> None:
        """Drop all records that were scored but not handed out; the caller sets the source to the next one."""
        self.settle()
        self._held = None

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown()

    @property
    def _n_held(self) -> int:
        return 0 if self._held is None else self._held.records.height

    def _size(self, n: int) -> int:
        return max(n, self._ahead, min(4 * n, _BLOCK))

    def _receive(self, n: int) -> bool:
        """Add the next block to what is held; return whether the source had as many records as were asked for."""
        coming, self._coming = self._coming, None
        try:
            block, full = self._scored(self._size(n)) if coming is None else coming.result()
        except Exception:
            # What is wrong with a later record must not hold up those before it.
            block, full = self._scored(n)
        self._hold(block)
        return full

    def _hold(self, block: Scored) -> None:
        if self._held is None or not self._n_held:
            self._held = block
        elif block.records.height:
            self._held = Scored(*(pl.concat(both) for both in zip(self._held, block, strict=True)))

    def _scored(self, n: int) -> tuple[Scored, bool]:
        first = self._source.position
        rows = self._source.take(n)
        label, family = self._source.label_column, self._source.family_column
        features = rows.drop([name for name in (label, family) if name is not None], strict=False)
        empty = pl.Series([None] * rows.height)
        columns = [
            pl.Series("position", np.arange(first, first + rows.height)),
            (rows[label] if label is not None and rows.height else empty).cast(pl.Int8).alias("label"),
            (rows[family] if family is not None and rows.height else empty).cast(pl.String).alias("family"),
        ]
        try:
            columns += [
                pl.Series(f"score {name}", self._scores(name, detector, features), dtype=pl.Float64)
                for name, detector in self._detectors.items()
            ]
        except Exception:
            self._source.seek(first)
            raise
        return Scored(pl.DataFrame(columns), features), rows.height == n

    def _scores(self, name: str, detector: Any, features: pl.DataFrame) -> NDArray[np.float64]:
        if not features.height:
            return np.empty(0)
        scores = np.asarray(self._score(detector, features), dtype=np.float64)
        if scores.shape != (features.height,) or not np.isfinite(scores).all():
            raise DataError(
                f"The detector {name!r} gave scores of shape {scores.shape}, {int((~np.isfinite(scores)).sum())} of "
                f"them not finite, for {features.height} records. Accepted is one finite score for each."
            )
        return scores

"""What a step of a race tells: its records, what each detector made of them, and how the detectors stand."""

from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from whitecrow.workspace.stream.outcomes import Counts, Money

__all__ = ["Frame", "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one detector stands after the records so far.

    Parameters
    ----------
    threshold : float
        Records whose score is above it are flagged from now on.
    counts : Counts
        Outcomes since the start.
    recent : Counts
        Outcomes of the last records (1,000, unless the race was told otherwise).
    families : dict of str to (int, int)
        For each kind of anomaly seen so far, how many were flagged and how many there were.
    money : Money or None
        Cost since the start; None without costs.
    """

    threshold: float
    counts: Counts
    recent: Counts
    families: dict[str, tuple[int, int]]
    money: Money | None

    def document(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return {
            "threshold": self.threshold,
            "counts": self.counts.document(),
            "recent": self.recent.document(),
            "families": {
                name: {"flagged": flagged, "seen": seen, "recall": flagged / seen}
                for name, (flagged, seen) in self.families.items()
            },
            "money": None if self.money is None else self.money.document(),
        }


@dataclass(frozen=True, slots=True)
class Frame:
    """Records of a step with what the detectors made of them, and how these stand after it.

    Parameters
    ----------
    first : int
        Number of the step's first record.
    count : int
        Records in the step.
    records : polars.DataFrame
        The latest of them (all, unless the frame was shortened), in their order: ``position``, ``label`` (1 anomaly,
        0 normal, null unknown), ``family`` (text or null), and for each detector ``score NAME`` and ``flag NAME``.
    features : polars.DataFrame
        The same records as the detectors saw them.
    standings : dict of str to Standing
        By the names of the detectors.
    """

    first: int
    count: int
    records: pl.DataFrame
    features: pl.DataFrame
    standings: dict[str, Standing]

    def latest(self, n: int) -> "Frame":
        """Return the frame with only its last ``n`` records listed; counts stay those of all."""
        if self.records.height <= n:
            return self
        return replace(self, records=self.records.tail(n), features=self.features.tail(n))

    def document(self) -> dict[str, Any]:
        """Return all but the features, for JSON: numbers are finite, what is unknown is None."""
        scores, flags = (
            {name: self.records[f"{what} {name}"].to_list() for name in self.standings} for what in ("score", "flag")
        )
        return {
            "first": self.first,
            "count": self.count,
            "position": self.records["position"].to_list(),
            "label": self.records["label"].to_list(),
            "family": self.records["family"].to_list(),
            "scores": scores,
            "flags": flags,
            "standings": {name: standing.document() for name, standing in self.standings.items()},
        }

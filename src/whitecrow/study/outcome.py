"""What became of a cell; apart from what computes it, so that whoever only stores it imports no torch."""

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Outcome"]


@dataclass(kw_only=True)
class Outcome:
    """What became of a cell.

    Attributes
    ----------
    error : str
        What ended it; empty if it is done.
    figures : dict of str to float
        Every figure of :func:`whitecrow.study.figures.figures`.
    families : dict of str to (n, recall at the known ratio, operational recall)
        Anomalies of the test by kind.
    fit_s, score_s : float
        CPU seconds; cells that trained together share the time of the fit equally.
    memory_mb : float
        Peak resident memory of the process, in megabytes.
    n_train, n_test : int
        Rows.
    prevalence : float
        Share of anomalies in the test.
    copies : float
        Share of the test rows that copy a training row.
    together : int
        Cells that trained together.
    notes : list of str
        Warnings, and what is suspicious of the data.
    """

    error: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    families: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    fit_s: float = 0.0
    score_s: float = 0.0
    memory_mb: float = 0.0
    n_train: int = 0
    n_test: int = 0
    prevalence: float = 0.0
    copies: float = 0.0
    together: int = 1
    notes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON has it."""
        return asdict(self)

"""Which detector suits a table without labels: a comparison, a recommendation, and what there is evidence of."""

from whitecrow.study.selection.selection import (
    CANDIDATES,
    CRITERIA,
    DEFAULT,
    MARGIN,
    Candidate,
    Selection,
    select,
)

__all__ = ["CANDIDATES", "CRITERIA", "DEFAULT", "MARGIN", "Candidate", "Selection", "select"]

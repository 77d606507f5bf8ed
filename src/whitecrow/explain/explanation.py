"""What explains a score, for showing, for JSON and as a table."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.explain.profiles import Profile
from whitecrow.explain.wording import percent, plain

__all__ = ["Explanation", "Reason"]

# Reasons after the first that carry less than this are left out of the text.
_WORTH_SAYING = 0.05


class Reason(NamedTuple):
    """What one column has to do with one score.

    Parameters
    ----------
    column : str
        Name of the column.
    value : object
        The row's value: a number, a truth value, text (dates too) or None.
    contribution : float
        In the unit of the score, see :class:`Explanation`.
    share : float
        From 0 to 1, see :attr:`Explanation.shares`.
    shown : str
        The value as text.
    remark : str
        "never seen in training", "2 % of training rows" and the like, or empty.
    typical : str
        What training rows have.
    alike : str
        What normal rows have that resemble this one in all other columns; empty for dates.
    text : str
        The reason in words.
    typical_range : (float, float) or None
        5th and 95th percentile of the training rows, in original units and unrounded; None of what is no number.
    alike_range : (float, float) or None
        Least and greatest value of ``alike``, without its outermost twentieths.
    """

    column: str
    value: Any
    contribution: float
    share: float
    shown: str
    remark: str
    typical: str
    alike: str
    text: str
    typical_range: tuple[float, float] | None
    alike_range: tuple[float, float] | None


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why n rows have their anomaly scores.

    Parameters
    ----------
    columns : tuple of str, length C
        Columns of the training table.
    contributions : ndarray of float64, shape [n, C]
        In the unit of the score; higher = the column makes the row more anomalous.
        *parts*: at least 0; the columns of a row sum to its score.
        *occlusion*: how far the score drops if the column takes the values of normal rows that are otherwise
        alike; negative if the score rises instead. The columns do not sum to the score: two columns that are
        wrong together may each carry little, and where the score cannot rise any further, all may carry
        nothing.
    method : {"parts", "occlusion"}
        Which of the two.
    scores : ndarray of float64, shape [n]
        Anomaly scores, higher = more anomalous.
    p_values : ndarray of float64, shape [n], or None
        Conformal p-values; None if the detector held out no rows.
    threshold : float
        Scores above it are flagged.
    flags : ndarray of bool, shape [n]
        Whether the rows are flagged.
    values : polars.DataFrame [n, C]
        The rows in original units; durations in seconds.
    neighbour_index : ndarray of int64, shape [n, k]
        The nearest distinct normal rows, nearest first, as indices into the detector's ``reference_``.
    neighbour_distance : ndarray of float64, shape [n, k]
        Their Euclidean distances in encoded features.
    neighbour_rows : ndarray of int64, shape [n, k], or None
        The rows of the training table that they are, where it was at hand.
    """

    columns: tuple[str, ...]
    contributions: NDArray[np.float64]
    method: str
    scores: NDArray[np.float64]
    p_values: NDArray[np.float64] | None
    threshold: float
    flags: NDArray[np.bool_]
    values: pl.DataFrame
    neighbour_index: NDArray[np.int64]
    neighbour_distance: NDArray[np.float64]
    neighbour_rows: NDArray[np.int64] | None = None
    _encoded: NDArray[np.float32] = field(kw_only=True)
    _otherwise: NDArray[np.int32] = field(kw_only=True)
    _normal: pl.DataFrame = field(kw_only=True)
    _profiles: tuple[Profile, ...] = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        return f"Explanation({len(self)} rows, {len(self.columns)} columns, method={self.method!r})"

    @property
    def typical(self) -> dict[str, str]:
        """What training rows have per column: the 5th to 95th percentile, or the commonest levels."""
        return {name: profile.typical for name, profile in zip(self.columns, self._profiles, strict=True)}

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Each column's share of all that makes the row anomalous, ``[n, C]``.

        The positive contributions divided by their sum, so that a row sums to 1, or to 0 if no column
        contributes. For *parts* it is the share of the score.
        """
        positive = np.maximum(self.contributions, 0)
        total = positive.sum(axis=1, keepdims=True)
        return np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)

    def top(self, row: int, k: int | None = 3) -> list[Reason]:
        """Return the columns that contribute most to the score of a row, at most ``k``, the strongest first.

        Columns that contribute nothing are left out. ``k=None`` returns all that contribute.
        """
        contributions = self.contributions[row]
        order = np.argsort(-contributions, kind="stable")[:k]
        return [self._reason(row, int(c)) for c in order if contributions[c] > 0]

    def reasons(self, row: int) -> list[Reason]:
        """Return all columns, the strongest first, those that contribute nothing too."""
        return [self._reason(row, int(c)) for c in np.argsort(-self.contributions[row], kind="stable")]

    def text(self, row: int, k: int = 3) -> str:
        """Return the ``k`` strongest reasons for the score of a row in one sentence.

        Reasons after the first that carry less than 5 % are left out.
        """
        reasons = self.top(row, k)
        if not reasons and self.method == "parts":
            return "No column departs from what is expected: the score is 0."
        if not reasons:
            return "No single column explains the score: replacing any one of them does not lower it."
        unit = "score" if self.method == "parts" else "evidence"
        said = [f"{reasons[0].text}, carries {percent(reasons[0].share)} of the {unit}"]
        said += [f"{r.text}, {percent(r.share)}" for r in reasons[1:] if r.share >= _WORTH_SAYING]
        return "; ".join(said)

    def neighbours(self, row: int) -> pl.DataFrame:
        """Return the nearest normal rows in original units, nearest first.

        Where the training table was not at hand, numbers are decoded from single precision, and one that was clipped
        shows the clip.
        """
        return self._normal[self.neighbour_index[row]]

    def to_frame(self) -> pl.DataFrame:
        """Return one line per row and column, the columns of each row in their order.

        Returns
        -------
        polars.DataFrame [n * C, 8]
            ``row``, ``column``, ``value`` (text), ``contribution``, ``share``, ``typical``, ``alike`` and
            ``remark``.
        """
        kinds = dict.fromkeys(("column", "value", "contribution", "share", "typical", "alike", "remark"), pl.String)
        schema = {"row": pl.Int64, **kinds, "contribution": pl.Float64, "share": pl.Float64}
        lines = []
        for row in range(len(self)):
            for c in range(len(self.columns)):
                r = self._reason(row, c)
                value = r.value if isinstance(r.value, str) else r.shown
                lines.append((row, r.column, value, r.contribution, r.share, r.typical, r.alike, r.remark))
        return pl.DataFrame(lines, schema=schema, orient="row")

    def to_dict(self, k: int | None = None) -> dict[str, Any]:
        """Return everything as a document for JSON, without NaN and infinities.

        Parameters
        ----------
        k : int, optional
            Reasons per row, at most; all columns that contribute by default.
        """
        return {
            "method": self.method,
            "threshold": self.threshold,
            "columns": list(self.columns),
            "typical": self.typical,
            "rows": [self._document(row, k) for row in range(len(self))],
        }

    def _document(self, row: int, k: int | None) -> dict[str, Any]:
        distances = self.neighbour_distance[row].tolist()
        return {
            "score": float(self.scores[row]),
            "p_value": None if self.p_values is None else float(self.p_values[row]),
            "is_anomaly": bool(self.flags[row]),
            "text": self.text(row, 3 if k is None else k),
            "values": _plain_row(self.values, row),
            "contributions": self.contributions[row].tolist(),
            "reasons": [reason._asdict() for reason in self.top(row, k)],
            "neighbours": [
                {
                    "index": int(index),
                    "row": None if self.neighbour_rows is None else int(self.neighbour_rows[row, k]),
                    "distance": distances[k],
                    "values": _plain_row(self._normal, int(index)),
                }
                for k, index in enumerate(self.neighbour_index[row])
            ],
        }

    def _reason(self, row: int, c: int) -> Reason:
        profile, value = self._profiles[c], self.values[row, c]
        shown, remark = profile.shown(value), profile.remark(value, self._encoded[row])
        alike, among, alike_range = profile.alike(value, self._otherwise[row, c])
        notes = [remark] if remark else []
        usual = f"normally {profile.typical}"
        # A value that is common by itself is odd beside the others, if it is: say what would fit them.
        if not profile.usual(value):
            notes.append(usual)
        elif alike and not among:
            notes.append(f"{usual}, but {alike} in similar rows")
        else:
            notes.append(f"usual by itself: {usual}")
        return Reason(
            column=self.columns[c],
            value=plain(value),
            contribution=float(self.contributions[row, c]),
            share=float(self.shares[row, c]),
            shown=shown,
            remark=remark,
            typical=profile.typical,
            alike=alike,
            text=f"{self.columns[c]} is {shown} ({'; '.join(notes)})",
            typical_range=profile.range,
            alike_range=alike_range,
        )


def _plain_row(table: pl.DataFrame, row: int) -> dict[str, Any]:
    return {name: plain(value) for name, value in table.row(row, named=True).items()}

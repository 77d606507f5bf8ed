"""The view of the Explore screen: what every view has, and what its slider means."""

import re
from dataclasses import dataclass, fields
from typing import Self
from urllib.parse import parse_qsl, urlencode

from whitecrow.dashboard.state import ViewState

__all__ = ["MEANINGS", "ExploreState", "row_window"]

MEANINGS = {
    "score": "Score",
    "percentile": "Percentile of the scores",
    "per_1000": "Alerts per 1,000 records",
    "count": "Number of alerts",
    "fpr": "False-positive rate",
    "cost": "Lowest expected cost",
}
"""What the slider may set, and how it is called."""

_AT_FIRST = "score"
_BY_RUN = "run"
_LONGEST = 500  # characters of a column's name
_ROW = re.compile("[0-9]{1,12}")


@dataclass(frozen=True)
class ExploreState(ViewState):
    """One view of the Explore screen.

    Parameters
    ----------
    meaning : str
        Key of :data:`MEANINGS`: what the slider and the number box set.
    window : (int, int) or None
        First and last row of the data set that are looked at, both included; None is all.
    lanes : str or None
        Column whose values have a lane each in the timeline.
    by_run : bool
        Whether the selected runs have a lane each instead.
    """

    meaning: str = _AT_FIRST
    window: tuple[int, int] | None = None
    lanes: str | None = None
    by_run: bool = False

    @classmethod
    def of(cls, query: str) -> Self:
        """Return the state of a URL's query; what is malformed is left out."""
        base = ViewState.of(query)
        given = dict(parse_qsl(query.removeprefix("?")))
        meaning, lanes, by_run = given.get("meaning", ""), given.get("lanes", ""), given.get("by") == _BY_RUN
        shared = {one.name: getattr(base, one.name) for one in fields(base)}
        return cls(
            **shared,
            meaning=meaning if meaning in MEANINGS else _AT_FIRST,
            window=row_window(given.get("first", ""), given.get("last", "")),
            lanes=lanes if 0 < len(lanes) <= _LONGEST and not by_run else None,
            by_run=by_run,
        )

    def query(self) -> str:
        """Return the query of a URL, without a question mark."""
        own: dict[str, str] = {}
        if self.meaning != _AT_FIRST:
            own["meaning"] = self.meaning
        if self.window is not None:
            own |= {"first": str(self.window[0]), "last": str(self.window[1])}
        if self.lanes is not None:
            own["lanes"] = self.lanes
        if self.by_run:
            own["by"] = _BY_RUN
        return "&".join(part for part in (super().query(), urlencode(own)) if part)


def row_window(first: str, last: str) -> tuple[int, int] | None:
    """Return the first and the last row of a URL; None where they are none."""
    if not (_ROW.fullmatch(first) and _ROW.fullmatch(last)) or int(first) > int(last):
        return None
    return int(first), int(last)

"""The view of the Drift screen: a run, a data set, and which of its rows."""

from dataclasses import dataclass, fields
from typing import Self
from urllib.parse import parse_qsl, urlencode

from whitecrow.dashboard.explore_state import row_window
from whitecrow.dashboard.state import ViewState

__all__ = ["DriftState"]


@dataclass(frozen=True)
class DriftState(ViewState):
    """One view of the Drift screen.

    Parameters
    ----------
    window : (int, int) or None
        First and last row of the data set that are compared, both included; None is all.
    """

    window: tuple[int, int] | None = None

    @classmethod
    def of(cls, query: str) -> Self:
        """Return the state of a URL's query; what is malformed is left out."""
        base = ViewState.of(query)
        given = dict(parse_qsl(query.removeprefix("?")))
        shared = {one.name: getattr(base, one.name) for one in fields(base)}
        return cls(**shared, window=row_window(given.get("first", ""), given.get("last", "")))

    def query(self) -> str:
        """Return the query of a URL, without a question mark."""
        own = "" if self.window is None else urlencode({"first": self.window[0], "last": self.window[1]})
        return "&".join(part for part in (super().query(), own) if part)

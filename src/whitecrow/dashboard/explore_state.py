"""The view of the Explore screen: what every view has, and what its slider means."""

from dataclasses import dataclass, fields
from typing import Self
from urllib.parse import parse_qsl, urlencode

from whitecrow.dashboard.state import ViewState

__all__ = ["MEANINGS", "ExploreState"]

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


@dataclass(frozen=True)
class ExploreState(ViewState):
    """One view of the Explore screen.

    Parameters
    ----------
    meaning : str
        Key of :data:`MEANINGS`: what the slider and the number box set.
    """

    meaning: str = _AT_FIRST

    @classmethod
    def of(cls, query: str) -> Self:
        """Return the state of a URL's query; what is malformed is left out."""
        base = ViewState.of(query)
        given = dict(parse_qsl(query.removeprefix("?"))).get("meaning", "")
        shared = {one.name: getattr(base, one.name) for one in fields(base)}
        return cls(**shared, meaning=given if given in MEANINGS else _AT_FIRST)

    def query(self) -> str:
        """Return the query of a URL, without a question mark."""
        shared = super().query()
        if self.meaning == _AT_FIRST:
            return shared
        own = urlencode({"meaning": self.meaning})
        return f"{shared}&{own}" if shared else own

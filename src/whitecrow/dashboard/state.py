"""What a view depends on, and its form in the URL: a reload, the back button and a shared link show the same again."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from whitecrow.core.errors import ParameterError
from whitecrow.metrics import Costs

__all__ = ["DEFAULT_COSTS", "PARTS", "ViewState"]

DEFAULT_COSTS = Costs(miss=10.0, false_alarm=1.0)
"""What outcomes cost until somebody says otherwise."""

PARTS = ("train", "test", "left out", "validation")
"""Parts of a data set that a view may be restricted to."""

_ID = re.compile(r"[0-9a-f]{12}")
_FILTER = "is."
_COSTS = ("miss", "false_alarm", "alert", "catch")
_MOST_RUNS = 12
_MOST_FILTERS = 20
_LONGEST = 500  # characters of a filter's column or value


@dataclass(frozen=True)
class ViewState:
    """One view.

    Parameters
    ----------
    dataset : str or None
        Id of the data set that is looked at.
    runs : tuple of str
        Ids of the selected runs, the first of which is looked at where there is room for one; at most twelve.
    threshold : float or None
        Score above which a row is flagged; None is the model's own.
    part : {"train", "test", "left out", "validation"} or None
        Rows that are looked at; None is those that no training saw.
    record : int or None
        Row of the data set whose drawer is open, from 0.
    costs : Costs or None
        What the outcomes cost; its prevalence is None here, for ``base_rate`` says it.
    base_rate : float from 0 to 1, or None
        Share of anomalies where the detector will work; None is the observed one.
    filters : mapping of str to str
        Values, as text, that columns must have.
    epoch : int or None
        Epoch of the first run that is looked at, from 1 over all stages; None is the last one.

    Notes
    -----
    A URL may come from anywhere: :meth:`of` leaves out what is malformed, and never raises. Whether a run or a row is
    there, only the workspace knows.
    """

    dataset: str | None = None
    runs: tuple[str, ...] = ()
    threshold: float | None = None
    part: str | None = None
    record: int | None = None
    costs: Costs | None = None
    base_rate: float | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    epoch: int | None = None

    @classmethod
    def of(cls, query: str) -> Self:
        """Return the state of a URL's query, with or without its question mark."""
        pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
        # Of what is given twice the last counts, except for runs.
        single = dict(pairs)
        runs = dict.fromkeys(given for name, given in pairs if name == "run" and _ID.fullmatch(given))
        filters = {n.removeprefix(_FILTER): v for n, v in pairs if n.startswith(_FILTER) and n != _FILTER}
        kept = [(n, v) for n, v in filters.items() if max(len(n), len(v)) <= _LONGEST][:_MOST_FILTERS]
        dataset, part = single.get("dataset", ""), single.get("part", "")
        base_rate = _number(single.get("base_rate"))
        return cls(
            dataset=dataset if _ID.fullmatch(dataset) else None,
            runs=tuple(runs)[:_MOST_RUNS],
            threshold=_number(single.get("threshold")),
            part=part if part in PARTS else None,
            record=_row(single.get("record", "")),
            costs=_costs(single),
            base_rate=base_rate if base_rate is not None and 0 <= base_rate <= 1 else None,
            filters=dict(kept),
            epoch=_row(single.get("epoch", "")) or None,
        )

    def query(self) -> str:
        """Return the query of a URL, without a question mark; empty for the view that is there at first.

        ``ViewState.of(state.query()) == state`` to the last bit of every number.
        """
        pairs: list[tuple[str, str]] = []
        if self.dataset is not None:
            pairs.append(("dataset", self.dataset))
        pairs += [("run", run) for run in self.runs]
        for name in ("threshold", "part", "record", "epoch"):
            if (given := getattr(self, name)) is not None:
                pairs.append((name, _text(given)))
        if self.costs is not None:
            pairs += [(name, _text(getattr(self.costs, name))) for name in _COSTS]
        if self.base_rate is not None:
            pairs.append(("base_rate", _text(self.base_rate)))
        pairs += [(_FILTER + column, given) for column, given in self.filters.items()]
        return urlencode(pairs)

    def link(self, path: str) -> str:
        """Return the address of this view on the screen at ``path``."""
        query = self.query()
        return f"{path}?{query}" if query else path

    def with_(self, **changes: Any) -> Self:
        """Return another state with these fields changed."""
        return replace(self, **changes)

    def only(self, *names: str) -> Self:
        """Return a state with these fields, and the others as at first: what another screen takes over."""
        return type(self)(**{one.name: getattr(self, one.name) for one in fields(self) if one.name in names})


def _text(number: float | str) -> str:
    # repr of a float gives back the same float; an integer has no point to lose.
    return repr(float(number)) if isinstance(number, float) else str(number)


def _number(text: str | None) -> float | None:
    if text is None or len(text) > 40:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _row(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def _costs(single: Mapping[str, str]) -> Costs | None:
    numbers = {name: _number(single.get(name)) for name in _COSTS}
    given = {name: number for name, number in numbers.items() if number is not None}
    if not {"miss", "false_alarm"} <= given.keys():
        return None
    try:
        return Costs(**given)
    except ParameterError:  # a negative cost
        return None

"""How the reviewed alerts stand: live precision at k, lift and coverage."""

from collections.abc import Mapping

from nicegui import ui

from whitecrow.dashboard.formats import NOTHING, count, figure, percent, value
from whitecrow.dashboard.parts import Text, card, figure_tiles
from whitecrow.dashboard.triage_alerts import AlertList
from whitecrow.dashboard.triage_queue import Alert
from whitecrow.metrics.intervals import Interval
from whitecrow.metrics.triage import ReviewedPrecision, reviewed_precision

__all__ = ["FiguresCard", "figures_of", "precision_tiles"]

_LEVEL = "95 %"


class FiguresCard:
    """The card of figures."""

    def __init__(self) -> None:
        with card("Precision so far") as made:
            made.props('role=region aria-label="Precision so far"')
            self._tiles = ui.element("div").style("width: 100%")
            self._words = Text("", "p").classes("wc-muted")

    def show(
        self, found: AlertList, alerts: list[Alert], verdicts: Mapping[int, str], k: int, base_rate: float | None
    ) -> None:
        """Show the figures of the ``k`` most anomalous alerts; see :func:`figures_of`."""
        by_row, by_group = figures_of(found, alerts, verdicts, k, base_rate)
        self._tiles.clear()
        if by_row is None or by_group is None:
            self._words.set_text("Nothing is flagged, so there is nothing to be right about.")
            return
        with self._tiles:
            figure_tiles(precision_tiles(by_row, by_group))
        source = "as given" if base_rate is not None else "of the labelled rows of this part"
        rate = found.base_rate if base_rate is None else base_rate
        lift = "" if rate is None else f" Lift is against a base rate of {percent(rate)}, {source}."
        self._words.set_text(
            "Confirmed alerts as a share of those confirmed or dismissed, among the highest scores. Near-duplicates "
            f"are judged as one: counted once per group, the interval says what the reviewing really shows.{lift}"
        )


def figures_of(
    found: AlertList, alerts: list[Alert], verdicts: Mapping[int, str], k: int, base_rate: float | None
) -> tuple[ReviewedPrecision | None, ReviewedPrecision | None]:
    """Return the live precision of the ``k`` highest scores, row by row and once per group; None without alerts.

    Parameters
    ----------
    found : AlertList
    alerts : list of Alert
        The highest score first.
    verdicts : mapping of int to str
        Those that hold, by row.
    k : int
        At least 1.
    base_rate : float or None
        Share of anomalies among all rows; by default that of the labelled ones.
    """
    if not alerts:
        return None, None
    rate = (found.base_rate if base_rate is None else base_rate) or None
    rows = found.rows[:k].tolist()
    by_row = reviewed_precision([verdicts.get(row, "new") for row in rows], k, base_rate=rate)
    first = set(rows)
    groups = [alert.state(verdicts) for alert in alerts if alert.leader in first]
    return by_row, reviewed_precision(groups, len(groups))


def precision_tiles(by_row: ReviewedPrecision, by_group: ReviewedPrecision) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the figures for tiles: name, value, and lines beside it."""
    return [
        (
            f"Precision at {by_row.k:,}",
            _share(by_row.precision),
            (_ends(by_row.precision), f"{by_row.confirmed:,} confirmed, {by_row.dismissed:,} dismissed"),
        ),
        (
            "Once per group",
            _share(by_group.precision),
            (_ends(by_group.precision), f"{by_group.confirmed:,} confirmed, {by_group.dismissed:,} dismissed"),
        ),
        (
            "Lift",
            NOTHING if by_row.lift is None else f"{value(by_row.lift.value, 3)} ×",
            (
                f"{_LEVEL}: {NOTHING}"
                if by_row.lift is None
                else f"{_LEVEL}: {value(by_row.lift.low, 3)} to {value(by_row.lift.high, 3)}",
            ),
        ),
        (
            "Coverage",
            percent(by_row.coverage),
            (f"{count(by_row.unsure, 'alert')} unsure, {by_row.new:,} new",),
        ),
    ]


def _share(found: Interval | None) -> str:
    return figure(None if found is None else found.value)


def _ends(found: Interval | None) -> str:
    return f"{_LEVEL}: " + (NOTHING if found is None else f"{figure(found.low)} to {figure(found.high)}")

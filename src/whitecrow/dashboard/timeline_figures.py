"""What stands beneath the timeline: figures of the window by rows and by events, and what marks its alerts."""

from collections.abc import Sequence

from nicegui import ui

from whitecrow.dashboard.formats import count, figure, p_value
from whitecrow.dashboard.parts import Text, notes, small_table
from whitecrow.dashboard.timeline_data import Timeline
from whitecrow.metrics.decisions import PrecisionRecallF1
from whitecrow.metrics.event_figures import EventFigures
from whitecrow.metrics.influencers import Influencer

__all__ = ["show_figures", "show_influencers"]


def show_figures(found: EventFigures | None, line: Timeline) -> None:
    """Show the figures of the window at the threshold by rows, by events and by ranges.

    Parameters
    ----------
    found : EventFigures or None
        None where no anomaly is known.
    line : Timeline
        Whose rows they are of.
    """
    with ui.element("div").classes("wc-main").style("padding: 0; gap: 0.5rem"):
        Text("By rows and by events", "h3")
        if found is None:
            Text("They need a known anomaly in the window.", "p").classes("wc-muted")
            return
        Text(
            f"{found.caught:,} of {count(found.n_events, 'event')} caught. An event is a run of neighbouring rows that "
            "are known anomalies.",
            "p",
        )
        rows = [
            ("Rows, each alike", *_three(found.points)),
            ("Events and runs of alerts, each alike", *_three(found.events)),
            ("Ranges, by how much is met", *_three(found.ranges)),
        ]
        small_table(["Counted by", "Precision", "Recall", "F1"], rows, right=(1, 2, 3), label="Figures of the window")
        said = ["Rows without a label are left out; they are never counted as normal."]
        if found.areas is not None:
            said.insert(
                0,
                f"Over all thresholds: VUS-ROC {figure(found.areas.roc)}, VUS-PR {figure(found.areas.pr)}, with a "
                f"buffer of up to {count(found.buffer, 'row')}.",
            )
        if not line.neighbours:
            said.append("Rows in view have gaps between them, so events may be cut into pieces.")
        notes(said)


def show_influencers(found: Sequence[Influencer], n_alerts: int) -> None:
    """Show the values that the alerts of the window have more often than rows that are not flagged."""
    with ui.element("div").classes("wc-main").style("padding: 0; gap: 0.5rem"):
        Text("Top influencers of the window's alerts", "h3")
        if not found:
            words = (
                "There are no alerts in the window."
                if not n_alerts
                else ("No value of a column is more frequent among these alerts than chance explains.")
            )
            Text(words, "p").classes("wc-muted")
            return
        rows = [
            (
                one.column, one.value, f"{one.alerts:,} of {one.n_alerts:,}", f"{one.others:,} of {one.n_others:,}",
                f"{one.lift:.1f} times", p_value(one.p_value),
            )
            for one in found
        ]  # fmt: skip
        small_table(
            ["Column", "Value", "Alerts of the window", "Rows not flagged", "More often", "p-value"],
            rows,
            right=(2, 3, 4, 5),
            label="Top influencers",
        )
        Text(
            "Compared with all rows in view that are not flagged. p-values of Fisher's exact test are adjusted for the "
            "number of values; alerts that come in bursts make them too small. What goes together need not be a cause.",
            "p",
        ).classes("wc-muted")


def _three(found: PrecisionRecallF1) -> tuple[str, str, str]:
    return figure(found.precision), figure(found.recall), figure(found.f1)

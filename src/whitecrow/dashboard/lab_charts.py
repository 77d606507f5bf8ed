"""The charts of the Lab: curves over the epochs, and pictures of the epoch that is looked at."""

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import events, ui

from whitecrow.dashboard.charts import Chart, axis, line
from whitecrow.dashboard.formats import count, figure, value
from whitecrow.dashboard.lab_epochs import EPOCH_HEADS, EpochFigures, epoch_rows, losses
from whitecrow.dashboard.lab_pictures import (
    Axis,
    Picture,
    classes,
    code_picture,
    histogram_picture,
    mark,
    pr_picture,
    roc_picture,
)
from whitecrow.dashboard.parts import details, small_table
from whitecrow.workspace import Epoch

__all__ = ["LabCharts"]

_TABLE_ROWS = 50
_HUES = {"normal": "normal", "anomaly": "anomaly", "unknown": "muted"}


class Exhibit:
    """A chart that changes many times a second: its table is made only while it is open.

    Parameters
    ----------
    name : str
        Heading.
    picture : Picture
        What is shown first.
    heads : sequence of str
        Of the table.
    hues : sequence of str, optional
        See :class:`~whitecrow.dashboard.charts.Chart`.
    """

    def __init__(self, name: str, picture: Picture, heads: Sequence[str], *, hues: Sequence[str] | None = None) -> None:
        self._heads, self._picture, self._open = heads, picture, False
        self._chart = Chart(name, picture.caption, picture.options, hues=hues, height="17rem")
        with self._chart.figure, details("Show as table") as folded:
            folded.classes("wc-numbers")
            self._slot = ui.element("div")
        folded.on("toggle", self._toggled, js_handler="(event) => emit(event.target.open)")

    def show(self, picture: Picture) -> None:
        """Show another picture, with the same series."""
        self._picture = picture
        self._chart.set(picture.options)
        self._chart.describe(picture.caption)
        if self._open:
            self._fill()

    def _toggled(self, event: events.GenericEventArguments) -> None:
        self._open = bool(event.args)
        if self._open:
            self._fill()

    def _fill(self) -> None:
        rows = self._picture.rows()
        step = max(1, -(-len(rows) // _TABLE_ROWS))
        self._slot.clear()
        with self._slot:
            right = [k for k, cell in enumerate(rows[0]) if cell[:1].isdigit() or cell[:1] in "-–"] if rows else []
            small_table(self._heads, rows[::step], right=right, label="Numbers behind the chart")


class LabCharts:
    """All charts of one run, within the element that is being filled.

    Parameters
    ----------
    epochs : sequence of Epoch
        That were looked at; at least one.
    index : int
        Which of them is looked at.
    other : (str, sequence of Epoch) or None
        Name and epochs of a run that is laid over.
    fixed : bool
        Whether all epochs have one axis of scores.
    """

    def __init__(
        self, epochs: Sequence[Epoch], index: int, other: tuple[str, Sequence[Epoch]] | None, *, fixed: bool
    ) -> None:
        self._epochs, self._other, self._fixed = list(epochs), other, fixed
        self._shape = self._shape_of(epochs)
        self._axis, self._names = Axis.of(epochs), classes(epochs)
        seen = epochs[index].seen or {}
        hues = [_HUES[name] for name in self._names]
        at = epochs[index].place + 1
        with ui.element("div").classes("wc-grid"):
            loss = self._losses(at)
            self._loss = Exhibit("Losses by epoch", loss, ["Epoch", *self._loss_names()])
            self._merit: Exhibit | None = None
            self._frames: list[tuple[Exhibit, Callable[[dict[str, Any]], Picture]]] = []
            if not self._names:
                return
            if self._has("auroc"):
                self._merit = Exhibit("AUROC and average precision by epoch", self._merits(at), EPOCH_HEADS)
            heads = ["Score from", "to", *self._names]
            self._add("Scores of both classes", self._histogram, heads, seen, hues)
            if self._has("roc"):
                self._add("ROC curve", roc_picture, ["False-positive rate", "Recall"], seen)
                self._add("Precision-recall curve", pr_picture, ["Recall", "Precision"], seen)
            if self._has("codes"):
                self._add("Latent codes", self._codes, ["Class", "Horizontal", "Vertical"], seen, hues)

    def _add(
        self,
        name: str,
        draw: Callable[[dict[str, Any]], Picture],
        heads: Sequence[str],
        seen: dict[str, Any],
        hues: Sequence[str] | None = None,
    ) -> None:
        self._frames.append((Exhibit(name, draw(seen), heads, hues=hues), draw))

    def fits(self, epochs: Sequence[Epoch]) -> bool:
        """Return whether these charts can show more epochs: they have the same series."""
        return self._shape_of(epochs) == self._shape

    def grow(self, epochs: Sequence[Epoch]) -> None:
        """Take in new epochs, which are shown with the next :meth:`show`."""
        self._epochs, self._axis = list(epochs), Axis.of(epochs)

    def fix_axis(self, *, fixed: bool) -> None:
        """Draw the scores of all epochs on one axis, or each on its own."""
        self._fixed = fixed

    def show(self, index: int) -> None:
        """Show another epoch."""
        epoch = self._epochs[index]
        self._loss.show(self._losses(epoch.place + 1))
        if self._merit is not None:
            self._merit.show(self._merits(epoch.place + 1))
        for exhibit, draw in self._frames:
            exhibit.show(draw(dict(epoch.seen or {})))

    # ---- pictures -------------------------------------------------------------------------------------------------

    def _histogram(self, seen: dict[str, Any]) -> Picture:
        return histogram_picture(seen, self._names, self._axis, fixed=self._fixed)

    def _codes(self, seen: dict[str, Any]) -> Picture:
        return code_picture(seen, self._names)

    def _loss_names(self) -> list[str]:
        return list(losses(self._epochs))

    def _losses(self, at: int) -> Picture:
        curves = losses(self._epochs)
        series = [line(name, points, k, showSymbol=False) for k, (name, points) in enumerate(curves.items())]
        if self._other is not None:
            name, epochs = self._other
            for one, points in losses(epochs).items():
                series.append(line(f"{name}: {one}", points, len(series), showSymbol=False))
        caption = f"{count(len(self._epochs), 'epoch')} looked at. " + "; ".join(
            f"{name} from {value(points[0][1])} to {value(points[-1][1])}" for name, points in curves.items()
        )

        def rows() -> list[list[str]]:
            known = {name: dict(points) for name, points in curves.items()}
            places = [one.place + 1 for one in self._epochs]
            return [[str(place), *(value(points.get(place)) for points in known.values())] for place in places]

        return Picture(_over_epochs("Loss", series, at, scale=True), f"{caption}.", rows)

    def _merits(self, at: int) -> Picture:
        series = _merit_lines(self._epochs, "", 0)
        if self._other is not None:
            name, epochs = self._other
            series += _merit_lines(epochs, f"{name}: ", len(series))
        first, now = self._epochs[0].place + 1, figure(_auroc(self._epochs, at), 4)
        caption = f"AUROC {figure(_auroc(self._epochs, first), 4)} after epoch {first}, {now} after epoch {at}."
        options = _over_epochs("From 0 to 1", series, at, min=0, max=1)
        return Picture(options, caption, lambda: epoch_rows(self._epochs))

    def _has(self, name: str) -> bool:
        return any(one.seen and one.seen.get(name) is not None for one in self._epochs)

    def _shape_of(self, epochs: Sequence[Epoch]) -> tuple[Any, ...]:
        names = ("auroc", "roc", "codes")
        there = tuple(any(one.seen and one.seen.get(name) is not None for one in epochs) for name in names)
        return (*there, tuple(losses(epochs)), tuple(classes(epochs)), Axis.of(epochs).kind)


def _merit_lines(epochs: Sequence[Epoch], prefix: str, first: int) -> list[dict[str, Any]]:
    figures = [(one.place + 1, EpochFigures.of(one.seen)) for one in epochs]
    rankings = [(place, one.auroc) for place, one in figures]
    precisions = [(place, one.average_precision) for place, one in figures]
    return [
        line(f"{prefix}AUROC", rankings, first, showSymbol=False),
        line(f"{prefix}average precision", precisions, first + 1, showSymbol=False),
    ]


def _auroc(epochs: Sequence[Epoch], at: int) -> float | None:
    return next((EpochFigures.of(one.seen).auroc for one in epochs if one.place + 1 == at), None)


def _over_epochs(name: str, series: list[dict[str, Any]], at: int, **options: Any) -> dict[str, Any]:
    """Return the options of curves over the epochs, with a mark at the one that is looked at."""
    if series:
        series[0]["markLine"] = mark(at, str(at))
    return {
        "grid": {"left": 72, "right": 24, "top": 26 * (1 + len(series) // 3) + 16, "bottom": 48},
        "xAxis": axis("Epoch", minInterval=1, min="dataMin", max="dataMax"),
        "yAxis": axis(name, nameGap=52, **options),
        "series": series,
    }

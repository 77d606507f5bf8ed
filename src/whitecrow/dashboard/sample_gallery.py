"""Some samples of a data set of images or sequences, as pictures and small curves."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from whitecrow.dashboard.formats import count
from whitecrow.dashboard.parts import Text, card
from whitecrow.dashboard.pictures import picture, png_address
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, Workspace
from whitecrow.workspace.samples import LABEL

__all__ = ["SamplesOf", "displayed", "sample_gallery", "sample_picture", "shape_words", "spark"]

_SHOWN = 24
_WIDTH, _HEIGHT = 120, 48  # of a small curve
_MOST_POINTS = 240


class SamplesOf:
    """Some samples of each class of a data set, to be looked at.

    Parameters
    ----------
    workspace : Workspace
    record : DatasetRecord
        Of arrays.
    most : int
        Samples to show at once.
    """

    def __init__(self, workspace: Workspace, record: DatasetRecord, most: int = _SHOWN) -> None:
        table = workspace.datasets.table(record.id)
        self.array: NDArray[Any] = workspace.datasets.array(record.id)
        self.low, self.high = float(table["least"].min() or 0.0), float(table["greatest"].max() or 0.0)  # pyright: ignore[reportArgumentType] - of numbers
        self.kind, self._most = record.kind, most
        self.labels: Sequence[str | None] = (
            table[LABEL].cast(str).to_list() if LABEL in table.columns else [None] * record.rows
        )
        self.classes: Sequence[str] = sorted({one for one in self.labels if one is not None})

    def rows(self, wanted: str | None) -> list[int]:
        """Return rows of a class, or some of each class, spread evenly over the data set."""
        classes = [wanted] if wanted is not None or not self.classes else list(self.classes)
        share = max(1, self._most // len(classes))
        chosen: list[int] = []
        for one in classes:
            found = [row for row, label in enumerate(self.labels) if one is None or label == one]
            chosen += found[:: max(1, len(found) // share)][:share]
        return chosen

    def image(self, row: int) -> NDArray[np.float64]:
        """Return an image between 0 and 1, ``[H, W]`` or ``[H, W, C]``."""
        return displayed(np.asarray(self.array[row]), self.low, self.high)


def displayed(image: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    """Return an image ``[C, H, W]`` from ``low`` to ``high`` between 0 and 1, ``[H, W]`` or ``[H, W, C]``."""
    values = (image.astype(np.float64) - low) / (high - low if high > low else 1.0)
    return values[0] if len(values) == 1 else np.moveaxis(values, 0, 2)


def spark(values: NDArray[np.floating]) -> str:
    """Return the path of a small curve through the first channel of a sequence ``[T, C]``."""
    line = np.asarray(values, dtype=np.float64)[:, 0]
    line = line[:: max(1, -(-len(line) // _MOST_POINTS))]
    low, high = float(line.min()), float(line.max())
    y = _HEIGHT - 3 - (line - low) / (high - low if high > low else 1.0) * (_HEIGHT - 6)
    x = np.linspace(2, _WIDTH - 2, len(line))
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def sample_picture(samples: SamplesOf, row: int) -> None:
    """Show one sample, small, with its number and its label."""
    label = samples.labels[row]
    words = f"{row}" if label is None else f"{row}: {label}"
    if samples.kind == "image":
        picture(png_address(samples.image(row)), f"Image {words}", side="4.5rem", caption=words)
        return
    with ui.element("figure").classes("wc-picture").style("--wc-side: 7.5rem"):
        with ui.element("svg").props(f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img').classes("wc-spark") as drawn:
            ui.element("path").props["d"] = spark(samples.array[row])
        drawn.props["aria-label"] = f"Sequence {words}"
        Text(words, "figcaption")


async def sample_gallery(
    page: Page, record: DatasetRecord, *, chosen: Callable[[int, SamplesOf], Any] | None = None
) -> None:
    """Show samples of a data set with a filter by class.

    Parameters
    ----------
    page : Page
    record : DatasetRecord
        Of arrays.
    chosen : function of a row and the samples, optional
        Makes each sample a button that calls it.
    """
    samples = await in_thread(SamplesOf, page.workspace, record)
    noun = "image" if record.kind == "image" else "sequence"
    with card("Examples", f"some of {count(record.rows, noun)}"):
        field = None
        if samples.classes:
            options = {"": "all"} | {str(k): name for k, name in enumerate(samples.classes)}
            field = ui.select(options, label="Class", value="").props("outlined dense options-dense")
            field.style("min-width: 12rem; align-self: flex-start")
        shelf = ui.element("div").classes("wc-shelf").props("role=group")
        shelf.props["aria-label"] = "Examples"

        def fill(wanted: str) -> None:
            shelf.clear()
            with shelf:
                for row in samples.rows(samples.classes[int(wanted)] if wanted else None):
                    if chosen is None:
                        sample_picture(samples, row)
                    else:
                        _pick(noun, row, samples, chosen)

        if field is not None:
            field.on_value_change(lambda event: fill(str(event.value)))
        fill("")


def _pick(noun: str, row: int, samples: SamplesOf, chosen: Callable[[int, SamplesOf], Any]) -> None:
    with ui.element("button").classes("wc-pick").props("type=button") as made:
        sample_picture(samples, row)
    label = samples.labels[row]
    made.props["aria-label"] = f"Load {noun} {row}" + ("" if label is None else f", {label}")
    made.on("click", lambda: chosen(row, samples), args=[])


def shape_words(record: DatasetRecord) -> str:
    """Return the shape of a sample in words; nothing for a table."""
    if record.shape is None:
        return ""
    if record.kind == "image":
        channels, height, width = record.shape
        return f"{height} × {width} pixels, " + ("grey" if channels == 1 else f"{channels} channels")
    return f"{count(record.shape[0], 'step')} of {count(record.shape[1], 'channel')}"

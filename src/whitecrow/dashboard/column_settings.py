"""The form that says how the columns of a data set are read: label, normal values, time, types, what is ignored."""

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from whitecrow.core.errors import ParameterError, WhitecrowError
from whitecrow.dashboard.formats import count, percent
from whitecrow.dashboard.parts import Text, button, small_table, warnings
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, DatasetSettings
from whitecrow.workspace.samples import LABEL

__all__ = ["ColumnSettings"]

_PAGE = 40  # columns with fields of their own at once
_NO_COLUMN = ""
_AS_IT_IS = ""
_KINDS = {_AS_IT_IS: "as it is", "number": "number", "category": "category", "date": "date", "boolean": "true or false"}
_MOST_VALUES = 200


class ColumnSettings:
    """The form, within the element that is being filled.

    Parameters
    ----------
    page : Page
    record : DatasetRecord
        Whose columns are read.
    saved : function of DatasetRecord
        Called with the record as it is after saving.
    """

    def __init__(self, page: Page, record: DatasetRecord, saved: Callable[[DatasetRecord], Awaitable[None]]) -> None:
        self._page, self._record, self._saved = page, record, saved
        settings = record.settings
        self._types: dict[str, Any] = dict(settings.types)
        self._ignored = set(settings.ignore)
        self._from = 0
        # Options have keys of ours: a column may be named anything, the empty text included.
        self._names = [str(column["name"]) for column in record.profile]
        # What stands beside arrays describes them; only labels that came with them mean something.
        meant = [k for k, name in enumerate(self._names) if record.shape is None or name == LABEL]
        columns = {_NO_COLUMN: "none"} | {str(k): self._names[k] for k in meant}
        with ui.element("div").classes("wc-form"):
            self._label = _select("Label column", columns, self._place(settings.label))
            self._time = _select("Time column", columns, self._place(settings.time))
            known = [] if record.labels is None else list(record.labels["counts"])
            chosen = [] if settings.normal is None else [v for v in known if v in settings.normal]
            self._values = known[:_MOST_VALUES]
            options = {str(k): one for k, one in enumerate(self._values)}
            self._normal = ui.select(
                options,
                label="Values that mean normal",
                multiple=True,
                value=[str(self._values.index(v)) for v in chosen],
            ).props("outlined dense options-dense use-chips")
            self._normal.props["hint"] = "None recognises the usual ones, such as normal, benign, 0"
            self._normal.set_visibility(record.labels is not None)
        self._label.on_value_change(self._label_picked)
        self._time.set_visibility(record.shape is None)
        self._table = ui.element("div").style("width: 100%")
        if record.shape is None:
            self._fill()
        with ui.element("div").classes("wc-row"):
            button("Save column settings", self._save, kind="primary")
            Text("Runs keep the settings that they were fitted with.").classes("wc-muted")

    def _place(self, name: str | None) -> str:
        return _NO_COLUMN if name is None or name not in self._names else str(self._names.index(name))

    def _named(self, field: ui.select) -> str | None:
        return self._names[int(field.value)] if field.value else None

    async def _label_picked(self) -> None:
        """Ask what is normal as soon as the label is picked."""
        label = self._named(self._label)
        self._normal.set_visibility(label is not None)
        self._values = []
        if label is not None:
            self._values = await in_thread(self._distinct, label)
        self._normal.set_options({str(k): one for k, one in enumerate(self._values)}, value=[])

    def _distinct(self, label: str) -> list[str]:
        column = self._page.workspace.datasets.table(self._record.id)[label]
        found = column.drop_nulls().cast(str).value_counts(sort=True).head(_MOST_VALUES)
        return found.to_series(0).to_list()

    # ---- the columns ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        profile = self._record.profile
        shown = profile[self._from : self._from + _PAGE]
        self._table.clear()
        with self._table:
            heads = ["Column", "Read as", "Ignore", "Type", "Missing", "Distinct", "Values", "Warnings"]
            small_table(heads, [self._row(column) for column in shown], label="Columns", right=(4, 5))
            if len(profile) > _PAGE:
                with ui.element("div").classes("wc-row"):
                    last = self._from + len(shown)
                    Text(f"Columns {self._from + 1} to {last} of {count(len(profile), 'column')}")
                    button("Earlier columns", lambda: self._turn(-_PAGE), small=True).set_enabled(self._from > 0)
                    button("Later columns", lambda: self._turn(_PAGE), small=True).set_enabled(last < len(profile))

    def _turn(self, by: int) -> None:
        self._from += by
        self._fill()

    def _row(self, column: dict[str, Any]) -> list[str | Callable[[], Any]]:
        name = str(column["name"])

        def read_as() -> None:
            field = ui.select(_KINDS, value=self._types.get(name, _AS_IT_IS)).props("outlined dense options-dense")
            field.props["aria-label"] = f"Read {name} as"
            field.style("min-width: 8rem")
            field.on_value_change(lambda event: self._retype(name, event.value))

        def ignore() -> None:
            box = ui.checkbox(value=name in self._ignored)
            box.props["aria-label"] = f"Ignore {name}"
            box.on_value_change(lambda event: (self._ignored.add if event.value else self._ignored.discard)(name))

        def said() -> None:
            warnings(column["warnings"])

        return [
            lambda: Text(name).classes("wc-break"), read_as, ignore, str(column["kind"]), percent(column["missing"]),
            f"{column['distinct']:,}", lambda: Text(str(column["examples"])).classes("wc-break"), said,
        ]  # fmt: skip

    def _retype(self, name: str, kind: str) -> None:
        if kind == _AS_IT_IS:
            self._types.pop(name, None)
        else:
            self._types[name] = kind

    # ---- saving ---------------------------------------------------------------------------------------------------

    def _settings(self) -> DatasetSettings:
        label = self._named(self._label)
        normal = tuple(self._values[int(k)] for k in self._normal.value or ())
        return DatasetSettings(
            label=label,
            normal=normal or None if label is not None else None,
            # In the order of the table, so that the same choice is the same setting.
            ignore=tuple(name for name in self._names if name in self._ignored and name != label),
            time=self._named(self._time),
            types=self._types,
        )

    async def _save(self) -> None:
        with self._page.errors_shown():
            try:
                record = await in_thread(
                    self._page.workspace.datasets.change, self._record.id, settings=self._settings()
                )
            except WhitecrowError:
                raise
            except (ValueError, TypeError) as error:  # a cast that polars refuses
                raise ParameterError(f"The columns cannot be read so: {error} Choose other types.") from error
            self._page.announce("The column settings are saved.")
            await self._saved(record)


def _select(label: str, options: dict[str, str], value: str) -> ui.select:
    field = ui.select(options, label=label, value=value).props("outlined dense options-dense")
    if len(options) > 20:
        field.props("use-input input-debounce=0 hide-selected fill-input")
    return field

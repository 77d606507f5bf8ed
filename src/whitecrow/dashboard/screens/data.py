"""The screen of data sets: upload, how columns are read, what is wrong with them, rows, and a fit."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from nicegui import ui

from whitecrow.core.errors import UnknownNameError
from whitecrow.dashboard.column_settings import ColumnSettings
from whitecrow.dashboard.fit_form import FitForm
from whitecrow.dashboard.formats import NOTHING, age, count, size
from whitecrow.dashboard.parts import Text, button, card, facts, heading, small_table, text_link, warnings
from whitecrow.dashboard.sample_gallery import sample_gallery, shape_words
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.tables import Frame, rows_table
from whitecrow.dashboard.threads import in_thread
from whitecrow.dashboard.upload_field import upload_field
from whitecrow.dashboard.uploads import FORMS, take_in
from whitecrow.workspace import DatasetRecord, RunRecord
from whitecrow.workspace.samples import SampleKind

__all__ = ["SCREEN"]


_MOST_LABELS = 8  # that are named
_HELD = {"table": "A table: each row stands for itself", "image": "Images", "sequence": "Series"}
_FORM_WORDS = {
    "table": "{limits}. The first line of a CSV file names the columns. Nothing leaves this server.",
    "image": "NPZ with an array X, [N, H, W] or [N, C, H, W], and perhaps labels y; or a zip archive of pictures of "
    "one size, whose folders are the labels. Nothing leaves this server.",
    "sequence": "CSV or Parquet with a row for each step of one series; or NPZ with an array X, [N, T] or [N, T, C], "
    "of sequences of one length, and perhaps labels y. Nothing leaves this server.",
}


async def build(page: Page) -> None:
    """Make the screen: the data set of the state, or all of them."""
    await _Data(page).show()


SCREEN = Screen("Data", "/data", "d", "What there is to learn from, and how it is read.", build, takes=("dataset",))


class _Data:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._kind: SampleKind = "table"
        with page.title("Data", "Bring a table, images or series, see what is wrong with them, and fit."):
            pass
        self._body = ui.element("div").classes("wc-main").style("padding: 0")
        page.on_address(self._moved)

    async def _moved(self, _: ViewState) -> None:
        await self.show()

    async def show(self) -> None:
        """Make all of it anew."""
        datasets = await in_thread(self._page.workspace.datasets.all)
        record = next((one for one in datasets if one.id == self._page.state.dataset), None)
        self._body.clear()
        with self._body:
            if self._page.state.dataset is not None and record is None:
                self._page.warn(f"There is no data set {self._page.state.dataset} any more. Choose another.")
            with ui.element("div").classes("wc-grid"):
                self._upload_card()
                if datasets:
                    self._list_card(datasets, record)
            if record is not None:
                await self._record_cards(record)

    # ---- all of them ----------------------------------------------------------------------------------------------

    def _upload_card(self) -> None:
        limits = self._page.limits
        with card("Bring data"):
            held = ui.select(_HELD, label="What it holds", value=self._kind).props("outlined dense options-dense")
            words = Text(_FORM_WORDS[self._kind].format(limits=limits), "p")
            upload_field(
                "Choose a file, or drop it here", limits, self._uploaded, self._refused,
                accept=",".join(dict.fromkeys(one for forms in FORMS.values() for one in forms)),
            )  # fmt: skip

        def picked() -> None:
            self._kind = held.value
            words.set_text(_FORM_WORDS[self._kind].format(limits=limits))

        held.on_value_change(picked)

    def _refused(self, why: str) -> None:
        limits = self._page.limits
        reason = "It is too large." if why == "413" else "It has not arrived whole; try again."
        self._page.warn(f"The file is not taken. {reason} What is taken: {limits}.")

    async def _uploaded(self, file: Path, name: str) -> None:
        page = self._page
        page.announce("The file has arrived and is being read.")
        with page.errors_shown():
            record = await in_thread(partial(take_in, kind=self._kind), page.workspace, file, name, page.limits)
            page.announce(f"{record.name}: {count(record.rows, 'row')}, {count(record.columns, 'column')}.")
            page.show(ViewState(dataset=record.id))
            await self.show()

    def _list_card(self, datasets: list[DatasetRecord], chosen: DatasetRecord | None) -> None:
        def named(record: DatasetRecord) -> None:
            link = text_link(record.name, ViewState(dataset=record.id).link(SCREEN.path)).classes("wc-break")
            if chosen is not None and record.id == chosen.id:
                link.props("aria-current=true")
                Text(" (shown below)").classes("wc-muted")

        rows = [
            (
                lambda record=record: named(record),
                f"{record.rows:,}",
                f"{record.columns:,}",
                record.settings.label or "none",
                "yes" if record.synthetic else "no",
                age(record.created),
            )
            for record in datasets
        ]
        with card("Data sets"):
            heads = ["Name", "Rows", "Columns", "Label", "Simulated", "Added"]
            small_table(heads, rows, label="Data sets", right=(1, 2))

    # ---- one of them ----------------------------------------------------------------------------------------------

    async def _record_cards(self, record: DatasetRecord) -> None:
        table = await in_thread(self._page.workspace.datasets.table, record.id)
        with card():
            with ui.element("div").classes("wc-card-head"):
                heading(2, record.name).classes("wc-break")
                with ui.element("div").classes("wc-row"):
                    button("Delete", lambda: self._remove(record), kind="danger", small=True).props["aria-label"] = (
                        f"Delete {record.name}"
                    )
            self._facts(record)
            warnings(_general_warnings(record))
        if record.shape is not None:
            await sample_gallery(self._page, record)
        with card("Labels" if record.shape is not None else "Columns", _of_columns(record)):
            ColumnSettings(self._page, record, self._saved)
        with card("Rows", f"{record.rows:,}, in the order in which they are read"):
            rows_table(Frame(table), label=f"Rows of {record.name}")
        with card("Fit a detector"):
            form = FitForm(self._page, record, self._submitted)
        # Torch is imported for the parameters; the page is there before.
        ui.timer(0.0, form.show_parameters, once=True)

    def _facts(self, record: DatasetRecord) -> None:
        labels = record.labels
        size_words = f"{record.rows:,} × {record.columns:,}"
        shown = {
            "Holds": _HELD[record.kind],
            **({"Rows and columns": size_words} if record.shape is None else {"Samples": f"{record.rows:,}"}),
            **({} if record.shape is None else {"Each of them": shape_words(record)}),
            "From": record.source or NOTHING,
            "Size": size(record.bytes),
            "SHA-256": record.sha256,
        }
        if labels is not None:
            shown["Normal"] = f"{labels['normal_rows']:,} ({', '.join(labels['normal_values'])})"
            odd = {name: n for name, n in labels["counts"].items() if name not in labels["normal_values"]}
            most = ", ".join(f"{name} {n:,}" for name, n in list(odd.items())[:_MOST_LABELS])
            if len(odd) > _MOST_LABELS:
                rest = sum(list(odd.values())[_MOST_LABELS:])
                most += f" and {count(len(odd) - _MOST_LABELS, 'more label')} of {count(rest, 'row')}"
            shown["Anomalies"] = f"{labels['anomalous_rows']:,}" + (f" ({most})" if most else "")
            # Never counted as normal.
            shown["Without a label"] = f"{labels['unlabelled_rows']:,}"
        facts(shown)

    async def _saved(self, record: DatasetRecord) -> None:
        await self.show()

    def _submitted(self, run: RunRecord) -> None:
        ui.navigate.to(self._page.link("Runs", ViewState(runs=(run.id,))) or "/")

    async def _remove(self, record: DatasetRecord) -> None:
        consequence = (
            f"{count(record.rows, 'row')} will be gone. Runs that were fitted on them have to be deleted first."
        )
        if not await self._page.confirmed(f"Delete {record.name}?", consequence, "Delete it"):
            return
        with self._page.errors_shown():
            with suppress(UnknownNameError):  # somebody else has deleted it: that is what was wanted
                await in_thread(self._page.workspace.datasets.remove, record.id)
            self._page.announce(f"{record.name} is deleted.")
            self._page.show(ViewState())
            await self.show()


def _of_columns(record: DatasetRecord) -> str:
    return count(record.columns, "column") if record.shape is None else shape_words(record)


def _general_warnings(record: DatasetRecord) -> list[str]:
    """Return what is to be seen to before a fit."""
    found = []
    if record.synthetic:
        found.append("The data is simulated: no evidence about anything real.")
    if record.settings.label is None:
        found.append("No label column is set, so there will be scores and no figures of merit.")
    elif record.labels is not None and not (record.labels["anomalous_rows"] and record.labels["normal_rows"]):
        found.append("The labels are all of one class, so there will be no figures of merit. Check what means normal.")
    names = [str(column["name"]) for column in record.profile if column["warnings"]]
    names = [name for name in names if name not in record.settings.ignore]
    if names:
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        found.append(f"Look at {count(len(names), 'column')} below before fitting: {shown}.")
    return found

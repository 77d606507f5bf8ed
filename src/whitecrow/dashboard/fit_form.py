"""The form that asks for a fit: detector, its parameters, what it is told of the data, split, seed, budget."""

from collections.abc import Callable
from typing import Any, cast

from nicegui import ui

from whitecrow.core import registry
from whitecrow.core.errors import ParameterError
from whitecrow.core.spec import Kind
from whitecrow.dashboard.parameter_form import ParameterForm
from whitecrow.dashboard.parts import Text, button, details
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.split_form import SplitForm
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import Budget, DatasetRecord, FitRequest, RunRecord

__all__ = ["FitForm", "fitting_detectors"]

_REGIMES = {
    "contaminated": "Contaminated: rows as they are",
    "clean": "Clean: only normal rows train",
    "labelled": "Labelled: it is told the labels",
}
_FIRST = {"table": "auto", "image": "conv-autoencoder", "sequence": "sub-pca"}


def fitting_detectors(record: DatasetRecord) -> list[str]:
    """Return the names of the detectors that take a data set; rows in time may be a series as well."""
    kinds: list[Kind] = [cast("Kind", record.kind)]
    if record.kind == "table" and record.settings.time is not None:
        kinds.append("sequence")
    return sorted({name for kind in kinds for name in registry.names(kind)})


class FitForm:
    """The form, within the element that is being filled.

    Parameters
    ----------
    page : Page
    record : DatasetRecord
        What is fitted to.
    submitted : function of RunRecord
        Called with the queued run.
    """

    def __init__(self, page: Page, record: DatasetRecord, submitted: Callable[[RunRecord], Any]) -> None:
        self._page, self._record, self._submitted = page, record, submitted
        self._parameters: ParameterForm | None = None
        names = fitting_detectors(record)
        first = _FIRST.get(record.kind, names[0])
        with ui.element("div").classes("wc-form"):
            self._detector = _choice("Detector", {name: name for name in names}, first)
            self._regime = _choice("What it may know", _REGIMES, "contaminated")
            self._split = SplitForm(record)
            self._seed = _number("Seed", 0, step=1, minimum=0)
            self._name = ui.input("Name of the run").props("outlined dense maxlength=200")
            self._name.props["hint"] = "The detector's, if empty"
        with details("Contamination and budget"), ui.element("div").classes("wc-form"):
            self._injected = _number("Anomalies injected into training", None, step=0.01, minimum=0, maximum=0.49)
            self._injected.props["hint"] = "Share of the training rows; needs labels and a random split"
            self._seconds = _number("Seconds it may take", 3600, step=60, minimum=1)
            self._memory = _number("Memory it may take, in MB", 8192, step=512, minimum=256)
        with ui.element("div").style("width: 100%"):
            Text("Parameters of the detector", "h3")
            self._slot = ui.element("div").style("width: 100%; padding-top: 0.75rem")
        with ui.element("div").classes("wc-row"):
            self._button = button("Start the fit", self._submit, kind="primary")
        self._detector.on_value_change(self.show_parameters)

    async def show_parameters(self) -> None:
        """Show the fields of the chosen detector; its module is imported in a thread, for that may take seconds."""
        name = str(self._detector.value)
        cls = await in_thread(registry.load, name)
        if name != self._detector.value:
            return  # another was chosen meanwhile
        self._slot.clear()
        with self._slot:
            self._parameters = ParameterForm(cls)
        if cls.needs_labels:
            self._regime.set_value("labelled")

    async def _submit(self) -> None:
        self._button.disable()
        with self._page.errors_shown():
            request = self._request()
            run = await in_thread(self._page.workspace.jobs.submit, request)
            self._page.announce(f"Run {run.number} is queued.")
            self._submitted(run)
        self._button.enable()

    def _request(self) -> FitRequest:
        if self._parameters is None:
            raise ParameterError("The parameters of the detector are still being read. Start again in a moment.")
        # Fields of numbers give floats; a whole number is meant where one is asked for.
        seed = _given("Seed", self._seed)
        return FitRequest(
            self._record.id,
            str(self._detector.value),
            self._parameters.values(),
            seed=int(seed) if seed == int(seed) else seed,  # pyright: ignore[reportArgumentType] - checked by the request
            regime=self._regime.value,
            split=self._split.rule(None if self._injected.value is None else float(self._injected.value)),
            budget=Budget(_given("Seconds", self._seconds), _given("Memory", self._memory)),
            name=str(self._name.value or ""),
        )


def _given(name: str, field: ui.number) -> float:
    if field.value is None:
        raise ParameterError(f"{name} is empty. Give a number.")
    return float(field.value)


def _choice(label: str, options: dict[str, str], value: str) -> ui.select:
    return ui.select(options, label=label, value=value).props("outlined dense options-dense")


def _number(
    label: str, value: float | None, *, step: float, minimum: float | None = None, maximum: float | None = None
) -> ui.number:
    return ui.number(label, value=value, step=step, min=minimum, max=maximum).props("outlined dense")

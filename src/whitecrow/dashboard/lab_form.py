"""The form of the Lab: data, detector and its parameters, anomalies in the training data, seed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache

from nicegui import ui

from whitecrow.core import parameters, registry
from whitecrow.core.errors import ParameterError
from whitecrow.core.spec import Kind
from whitecrow.dashboard.parameter_form import ParameterForm
from whitecrow.dashboard.parts import Text, button
from whitecrow.dashboard.shell import Page
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import DatasetRecord, FitRequest, RunRecord, SplitRule

__all__ = ["LabForm", "watchable"]

_FIRST = {"table": "autoencoder", "image": "conv-autoencoder", "sequence": "usad"}
_EPOCHS = 30
_FRONT = ("epochs", "batch_size", "lr", "contamination")
_SHARE = 0.5


@cache
def watchable(kind: Kind) -> tuple[str, ...]:
    """Return the detectors of a kind that learn in epochs and need no labels; it imports them, which takes a while."""
    known = {name: registry.load(name) for name in registry.names(kind)}
    return tuple(sorted(n for n, cls in known.items() if "epochs" in parameters.fields(cls) and not cls.needs_labels))


class LabForm:
    """The form, within the element that is being filled.

    Parameters
    ----------
    page : Page
    datasets : sequence of DatasetRecord
        To choose from; at least one.
    names : mapping of str to sequence of str
        Detectors to choose from, by kind of data.
    like : RunRecord or None
        Run whose request the fields begin with.
    submitted : async function of RunRecord
        Called with the queued run.
    """

    def __init__(
        self,
        page: Page,
        datasets: Sequence[DatasetRecord],
        names: Mapping[str, Sequence[str]],
        like: RunRecord | None,
        submitted: Callable[[RunRecord], Awaitable[None]],
    ) -> None:
        self._page, self._submitted, self._names = page, submitted, names
        self._datasets = {one.id: one for one in datasets}
        before = None if like is None else self._datasets.get(like.dataset or "")
        self._like = like if like and before and like.detector in names[before.kind] else None
        self._parameters: ParameterForm | None = None
        asked = None if self._like is None else self._like.request
        given = next((key for key in (asked and asked.dataset, page.state.dataset) if key in self._datasets), None)
        split = SplitRule() if asked is None else asked.split
        with ui.element("div").classes("wc-main").style("padding: 0"):
            self._fields(given or datasets[0].id, split, 0 if asked is None else asked.seed)
            with ui.element("div").style("width: 100%"):
                Text("Network and training", "h3")
                self._slot = ui.element("div").style("width: 100%; padding-top: 0.75rem")
            with ui.element("div").classes("wc-row"):
                self._button = button("Train", self._submit, kind="primary")
        self._detector.on_value_change(self.show_parameters)
        self._dataset.on_value_change(self._take_data)
        self._share.on_value_change(self._say_limit)
        self._say_limit()

    def _fields(self, dataset: str, split: SplitRule, seed: int) -> None:
        with ui.element("div").classes("wc-form"):
            options = {one.id: one.name for one in self._datasets.values()}
            self._dataset = ui.select(options, label="Data set", value=dataset)
            kind = self._datasets[dataset].kind
            chosen = _FIRST[kind] if self._like is None else self._like.detector
            self._detector = ui.select(list(self._names[kind]), label="Detector", value=chosen)
            share = float(split.share) if split.kind == "random" else _SHARE
            self._share = ui.number("Share of normal rows that trains", value=share, step=0.05, min=0.01, max=0.99)
            mixed = float(split.injected or 0.0)
            self._injected = ui.number("Share of anomalies in training", value=mixed, step=0.005, min=0, max=0.49)
            self._seed = ui.number("Seed", value=seed, step=1, min=0)
            for field in (self._dataset, self._detector):
                field.props("outlined dense options-dense")
            for field in (self._share, self._injected, self._seed):
                field.props("outlined dense")

    async def show_parameters(self) -> None:
        """Show the fields of the chosen detector."""
        name = str(self._detector.value)
        cls = await in_thread(registry.load, name)
        if name != self._detector.value:
            return  # another was chosen meanwhile
        as_before = self._like is not None and self._like.detector == name
        values = dict(self._like.request.parameters) if as_before and self._like is not None else {"epochs": _EPOCHS}
        self._slot.clear()
        with self._slot:
            self._parameters = ParameterForm(cls, values, first=_FRONT)

    def _take_data(self) -> None:
        """Offer the detectors of the data's kind."""
        names = self._names[self._record.kind]
        kept = self._detector.value if self._detector.value in names else _FIRST[self._record.kind]
        self._detector.set_options(list(names), value=kept)
        self._say_limit()

    def _say_limit(self) -> None:
        labels = self._record.labels
        if labels is None:
            self._injected.disable()
            self._injected.props["hint"] = "Needs a label column; the rows train as they come"
            return
        self._injected.enable()
        share = float(self._share.value or 0)
        largest = SplitRule(share=share).largest_injection(labels["normal_rows"], labels["anomalous_rows"])
        # Rounded down, so that what is named is accepted.
        self._injected.props["hint"] = f"Known anomalies among normal rows; up to {int(1e4 * largest) / 1e4:g} here"

    @property
    def _record(self) -> DatasetRecord:
        return self._datasets[str(self._dataset.value)]

    async def _submit(self) -> None:
        self._button.disable()
        with self._page.errors_shown():
            run = await in_thread(self._page.workspace.jobs.submit, self._request())
            self._page.announce(f"Run {run.number} is queued.")
            await self._submitted(run)
        self._button.enable()

    def _request(self) -> FitRequest:
        if self._parameters is None:
            raise ParameterError("The parameters of the detector are still being read. Train again in a moment.")
        # Fields of numbers give floats; a whole number is meant where one is asked for.
        seed = _given("Seed", self._seed)
        injected = None if self._record.labels is None else _given("The share of anomalies", self._injected)
        return FitRequest(
            self._record.id,
            str(self._detector.value),
            self._parameters.values(),
            seed=int(seed) if seed == int(seed) else seed,  # pyright: ignore[reportArgumentType] - checked by the request
            split=SplitRule("random", _given("The share that trains", self._share), injected),
            watch=True,
        )


def _given(name: str, field: ui.number) -> float:
    if field.value is None:
        raise ParameterError(f"{name} is empty. Give a number.")
    return float(field.value)

"""What an empty workspace can be filled with at once: simulated traffic, and four detectors that learn from it."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from whitecrow.data.traffic import traffic_table
from whitecrow.workspace.dataset_record import DatasetRecord
from whitecrow.workspace.dataset_settings import DatasetSettings
from whitecrow.workspace.request import Budget, FitRequest, SplitRule
from whitecrow.workspace.runs import RunRecord

if TYPE_CHECKING:
    from whitecrow.workspace.workspace import Workspace

__all__ = ["DEMO_DETECTORS", "DEMO_NAME", "Demo", "fill_with_demo"]

DEMO_NAME = "Simulated network traffic"
"""Name of the data set, which is synthetic: no evidence about any real network."""

DEMO_DETECTORS: Mapping[str, Mapping[str, Any]] = {
    "autoencoder": {"epochs": 40},
    "isolation-forest": {},
    "pca": {},
    "auto": {"budget": "fast"},
}
"""Detectors that are fitted, with what differs from their defaults: a demonstration should not be waited for."""

_ROWS, _ATTACK_RATE, _DAYS, _SEED = 20_000, 0.02, 14, 0
_SOURCE = f"simulated: {_ROWS:,} connections over {_DAYS} days, seed {_SEED}"
_SPLIT = SplitRule("order", share=0.5)  # the first week trains, the second tests
_BUDGET = Budget(seconds=300.0)
_GONE = ("failed", "cancelled", "interrupted")
# Two clicks at once must not fill a workspace twice.
_turn = threading.Lock()


class Demo(NamedTuple):
    """The data set and the runs of the demonstration."""

    dataset: DatasetRecord
    runs: tuple[RunRecord, ...]


def fill_with_demo(workspace: "Workspace", *, actor: str = "") -> Demo:
    """Add the simulated data set and queue its fits; what is there already, or under way, is left as it is.

    Parameters
    ----------
    workspace : Workspace
        Its queue has to be worked for the fits to start.
    actor : str
        Who asks, for the audit.

    Returns
    -------
    Demo
        The data set, and a run for each of :data:`DEMO_DETECTORS` in this order.
    """
    with _turn:
        dataset = _dataset(workspace, actor)
        known = {
            run.detector: run
            for run in workspace.runs.all()
            if run.dataset == dataset.id and run.state not in _GONE and _is_ours(run)
        }
        runs = [
            known.get(name) or workspace.jobs.submit(_request(dataset, name), actor=actor) for name in DEMO_DETECTORS
        ]
        return Demo(dataset, tuple(runs))


def _dataset(workspace: "Workspace", actor: str) -> DatasetRecord:
    for record in workspace.datasets.all():
        if record.synthetic and record.source == _SOURCE:
            return record
    table = traffic_table(rows=_ROWS, attack_rate=_ATTACK_RATE, seed=_SEED, days=_DAYS)
    settings = DatasetSettings(label="label", normal=("normal",), time="timestamp")
    return workspace.datasets.add(table, DEMO_NAME, settings=settings, source=_SOURCE, synthetic=True, actor=actor)


def _request(dataset: DatasetRecord, detector: str) -> FitRequest:
    parameters = {"contamination": _ATTACK_RATE, **DEMO_DETECTORS[detector]}
    return FitRequest(dataset.id, detector, parameters, seed=_SEED, split=_SPLIT, budget=_BUDGET)


def _is_ours(run: RunRecord) -> bool:
    asked = run.request
    return (
        run.detector in DEMO_DETECTORS
        and asked.split == _SPLIT
        and asked.seed == _SEED
        and dict(asked.parameters) == {"contamination": _ATTACK_RATE, **DEMO_DETECTORS[run.detector]}
    )

"""Detectors that judge what is drawn, fitted on one click: scikit-learn's digits, and simulated heartbeats."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from whitecrow.data.heartbeats import BEAT_KINDS, simulate_heartbeats
from whitecrow.workspace.dataset_record import DatasetRecord
from whitecrow.workspace.dataset_settings import DatasetSettings
from whitecrow.workspace.request import Budget, FitRequest, SplitRule
from whitecrow.workspace.runs import RunRecord

if TYPE_CHECKING:
    from whitecrow.workspace.workspace import Workspace

__all__ = ["BEATS_NAME", "DIGITS_NAME", "DrawingDemo", "fit_drawing_demo"]

DIGITS_NAME = "Handwritten digits, 8 × 8"
BEATS_NAME = "Simulated heartbeats"

_NORMAL_DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8")
_DIGITS_SOURCE = "scikit-learn's digits: 1,797 images by 43 people, nine as the anomaly"
_N_BEATS, _ANOMALOUS, _SEED = 1500, 0.1, 0
_BEATS_SOURCE = f"simulated: {_N_BEATS:,} heartbeats, seed {_SEED}"
_SPLIT = SplitRule("random", share=0.6)
_BUDGET = Budget(seconds=300.0)
_DIGITS_FIT: tuple[str, Mapping[str, Any]] = ("pca", {"n_components": 0.9, "contamination": 0.05})
_BEATS_FIT: tuple[str, Mapping[str, Any]] = ("sub-pca", {"score_type": "reconstruction", "contamination": 0.02})
_GONE = ("failed", "cancelled", "interrupted")
# Two clicks at once must not fit twice.
_turn = threading.Lock()


class DrawingDemo(NamedTuple):
    """The runs that judge digits and heartbeats."""

    digits: RunRecord
    beats: RunRecord


def fit_drawing_demo(workspace: "Workspace", *, actor: str = "") -> DrawingDemo:
    """Add the two data sets and queue a fit on each; what is there already, or under way, is left as it is.

    Parameters
    ----------
    workspace : Workspace
        Its queue has to be worked for the fits to start.
    actor : str
        Who asks, for the audit.
    """
    with _turn:
        known = {record.source: record for record in workspace.datasets.all()}
        digits = known.get(_DIGITS_SOURCE) or _add_digits(workspace, actor)
        beats = known.get(_BEATS_SOURCE) or _add_beats(workspace, actor)
        return DrawingDemo(
            _run(workspace, digits, *_DIGITS_FIT, actor=actor), _run(workspace, beats, *_BEATS_FIT, actor=actor)
        )


def _add_digits(workspace: "Workspace", actor: str) -> DatasetRecord:
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    settings = DatasetSettings(label="label", normal=_NORMAL_DIGITS)
    return workspace.datasets.add_samples(
        data.images, DIGITS_NAME, "image", labels=data.target.astype(str), settings=settings, source=_DIGITS_SOURCE,
        actor=actor,
    )  # fmt: skip


def _add_beats(workspace: "Workspace", actor: str) -> DatasetRecord:
    found = simulate_heartbeats(_N_BEATS, anomalous=_ANOMALOUS, seed=_SEED)
    return workspace.datasets.add_samples(
        found.beats, BEATS_NAME, "sequence", labels=found.kinds,
        settings=DatasetSettings(label="label", normal=BEAT_KINDS[:1]), source=_BEATS_SOURCE, synthetic=True,
        actor=actor,
    )  # fmt: skip


def _run(
    workspace: "Workspace", dataset: DatasetRecord, detector: str, parameters: Mapping[str, Any], *, actor: str
) -> RunRecord:
    for run in workspace.runs.all():
        asked = run.request
        same = (run.dataset, run.detector, asked.seed) == (dataset.id, detector, _SEED)
        if same and run.state not in _GONE and dict(asked.parameters) == dict(parameters):
            return run
    request = FitRequest(
        dataset.id, detector, dict(parameters), seed=_SEED, regime="clean", split=_SPLIT, budget=_BUDGET
    )
    return workspace.jobs.submit(request, actor=actor)

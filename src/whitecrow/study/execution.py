"""What one worker does with the cells of a block: load, split, fit, score, measure."""

import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whitecrow.calibrate import PeaksOverThreshold
from whitecrow.core import registry
from whitecrow.core.errors import WhitecrowError, WhitecrowWarning
from whitecrow.detectors import Detector, can_fit_together, fit_together
from whitecrow.metrics import flag_top
from whitecrow.study.figures import figure, figures
from whitecrow.study.leaks import check_label_column, check_split, duplicates
from whitecrow.study.outcome import Outcome
from whitecrow.study.plan import Cell, DataChoice
from whitecrow.study.protocols import Split, protocol
from whitecrow.study.sources import Rows, load_rows

__all__ = ["run_block"]

_USUAL_SHARE = 0.05  # that the threshold flags where no anomaly was injected


def run_block(cells: Sequence[Cell], root: str | Path | None = None) -> list[Outcome]:
    """Fit and measure cells that differ in their seed alone, at once where the detector allows it.

    Parameters
    ----------
    cells : sequence of Cell
        Of one :attr:`~whitecrow.study.plan.Cell.block`.
    root : path, optional
        Folder of the named data sets.

    Returns
    -------
    list of Outcome
        One per cell. What a cell does wrong (a leak, a fit that diverges) is its outcome's error.

    Raises
    ------
    WhitecrowError
        If the data set cannot be loaded, or its label stands among its columns.
    """
    rows, suspicions = _rows(cells[0].data, root)
    outcomes = [Outcome(notes=list(suspicions)) for _ in cells]
    splits: dict[int, Split] = {}
    for i, cell in enumerate(cells):
        try:
            splits[i] = _split(cell, rows)
            outcomes[i].copies = _copies(rows, splits[i])
        except WhitecrowError as error:
            outcomes[i].error = f"{type(error).__name__}: {error}"
    detectors = _fit(cells, splits, rows, outcomes)
    for i, detector in detectors.items():
        try:
            _measure(cells[i], detector, splits[i], rows, outcomes[i])
        except WhitecrowError as error:
            outcomes[i].error = f"{type(error).__name__}: {error}"
    return outcomes


def _rows(choice: DataChoice, root: str | Path | None) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows, and what is suspicious about their columns."""
    # Choices that differ in these alone have the same rows.
    same = replace(choice, options={}, alias="", seeds=None)
    return _cached(json.dumps(asdict(same)), None if root is None else str(root))


# The rows of the last data set stay, since the cells of one come after one another.
@lru_cache(maxsize=1)
def _cached(choice: str, root: str | None) -> tuple[Rows, tuple[str, ...]]:
    rows = load_rows(DataChoice(**json.loads(choice)), root)
    return rows, check_label_column(rows.X, rows.y)


def _split(cell: Cell, rows: Rows) -> Split:
    rule = protocol(cell.protocol, **cell.options)
    split = rows.split(rule, seed=cell.seed, contamination=cell.contamination)
    check_split(split, overlaps=rule.overlaps)
    most = cell.detector.max_train
    if most is None or len(split.train) <= most:
        return split
    if rows.in_order:
        return replace(split, train=split.train[-most:])  # the latest steps; a series with holes is another series
    # Known anomalies are few, and stay; the others are thinned alike, which leaves the contamination as it is.
    others = split.train[~np.isin(split.train, split.known)]
    thinned = np.random.default_rng([cell.seed, most]).permutation(others)[: max(most - len(split.known), 2)]
    train = np.concatenate([np.sort(thinned), split.known])
    return Split(train, split.test, split.injected[np.isin(split.injected, thinned)], split.known)


def _copies(rows: Rows, split: Split) -> float:
    """Return the share of the test that copies a training row; of steps, which repeat by chance, that is one."""
    if rows.in_order:
        return float(np.isin(split.test, split.train).mean())
    return duplicates(rows.X, split).share


def _fit(
    cells: Sequence[Cell], splits: dict[int, Split], rows: Rows, outcomes: Sequence[Outcome]
) -> dict[int, Detector]:
    """Return the fitted detectors by the place of their cell; errors go to the outcomes."""
    detectors = {i: _detector(cells[i]) for i in splits}
    tables = {i: rows.X[split.train] for i, split in splits.items()}
    labels = {i: _labels(split) for i, split in splits.items()}
    order = list(splits)
    together = rows.kind == "table" and len(order) > 1 and can_fit_together([detectors[i] for i in order])
    for group in [order] if together else [[i] for i in order]:
        start = time.process_time()
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            if together:
                errors = fit_together(
                    [detectors[i] for i in group], [tables[i] for i in group], [labels[i] for i in group]
                )
            else:
                errors = [_fit_alone(detectors[i], tables[i], labels[i]) for i in group]
        spent = (time.process_time() - start) / len(group)
        notes = [str(w.message) for w in raised if issubclass(w.category, WhitecrowWarning)]
        for i, error in zip(group, errors, strict=True):
            outcomes[i].fit_s, outcomes[i].together = spent, len(group)
            outcomes[i].notes += dict.fromkeys(notes)
            if error is not None:
                outcomes[i].error = f"{type(error).__name__}: {error}"
                del detectors[i]
    return detectors


def _fit_alone(detector: Detector, table: Any, labels: NDArray[np.int64] | None) -> WhitecrowError | None:
    try:
        detector.fit(table, labels)
    except WhitecrowError as error:
        return error
    return None


def _detector(cell: Cell) -> Detector:
    chosen = {
        # Its share is known to the one who injected it; on clean rows the threshold flags the usual share of new ones.
        "contamination": min(cell.contamination, 0.5) if cell.contamination else _USUAL_SHARE,
        **cell.detector.parameters,
        "regime": cell.regime, "random_state": cell.seed, "verbose": False,
    }  # fmt: skip
    return registry.load(cell.detector.name)(**chosen)


def _labels(split: Split) -> NDArray[np.int64] | None:
    return np.where(np.isin(split.train, split.known), 1, -1) if len(split.known) else None


def _measure(cell: Cell, detector: Detector, split: Split, rows: Rows, outcome: Outcome) -> None:
    if cell.threshold == PeaksOverThreshold.name:
        detector.set_threshold(PeaksOverThreshold())
    start = time.process_time()
    # A series is scored whole: the first steps of the test have steps before them.
    whole = rows.in_order
    scores = detector.anomaly_score(rows.X)[split.test] if whole else detector.anomaly_score(rows.X[split.test])
    outcome.score_s = time.process_time() - start
    y = protocol(cell.protocol, **cell.options).labels(rows.y, rows.families)[split.test]
    outcome.n_train, outcome.n_test, outcome.prevalence = len(split.train), len(split.test), float(y.mean())
    buffer = rows.period
    for name in figures(cell.protocol):
        outcome.figures[name] = figure(name)(y, scores, detector.threshold_, seed=cell.seed, buffer=buffer)
    if rows.families is not None:
        anomalous = y == 1
        top, flagged = flag_top(scores, int(anomalous.sum())), scores > detector.threshold_
        kinds = rows.families[split.test]
        for kind in np.unique(kinds[anomalous]).tolist():
            these = anomalous & (kinds == kind)
            outcome.families[kind] = (int(these.sum()), float(top[these].mean()), float(flagged[these].mean()))

"""Several fits of one deep detector trained at once, each on rows of its own: the seeds of a study."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from numpy.typing import ArrayLike

from whitecrow.core.errors import ParameterError, TrainingError, WhitecrowError
from whitecrow.detectors._base import Detector
from whitecrow.detectors._deep import DeepDetector
from whitecrow.detectors._prepared import Prepared
from whitecrow.train import train

__all__ = ["can_fit_together", "fit_together"]

_APART = ("random_state", "verbose")


def can_fit_together(detectors: Sequence[Detector]) -> bool:
    """Return whether the detectors are one deep method with one replica each, and differ in their seeds alone."""
    first = detectors[0]
    if (
        not isinstance(first, DeepDetector)
        or "table" not in first.kinds
        or first.n_replicas != 1
        or first.checkpoint is not None
    ):
        return False
    return all(type(d) is type(first) and _shared(d) == _shared(first) for d in detectors)


def fit_together(
    detectors: Sequence[Detector], tables: Sequence[Any], labels: Sequence[ArrayLike | None] | None = None
) -> list[WhitecrowError | None]:
    """Fit each detector to its table, training as replicas of one run those whose encoded tables have one shape.

    Each ends as its own ``fit(table, labels)`` would leave it, up to rounding.

    Parameters
    ----------
    detectors : sequence of Detector
        Not fitted; all of one class and of equal parameters but for ``random_state``.
    tables : sequence of table or array-like
        Training rows of each.
    labels : sequence of array-like or None, optional
        Labels of each table, for the labelled regime.

    Returns
    -------
    list of WhitecrowError or None
        What ended the fit of each detector; None where it is fitted.

    Raises
    ------
    ParameterError
        If the detectors cannot be trained together: see :func:`can_fit_together`.
    """
    if not can_fit_together(detectors):
        raise ParameterError(
            f"fit_together: {', '.join(sorted({type(d).__name__ for d in detectors}))} cannot be trained together. "
            "Give detectors of one class that is trained by gradients, with n_replicas=1, without a checkpoint, and "
            "with parameters that differ in random_state alone."
        )
    errors: list[WhitecrowError | None] = [None] * len(detectors)
    prepared: dict[int, Prepared] = {}
    for i, (detector, table) in enumerate(zip(detectors, tables, strict=True)):
        try:
            prepared[i] = detector._prepare_fit(table, None if labels is None else labels[i])
        except WhitecrowError as error:
            errors[i] = error

    def shape(i: int) -> tuple[int, ...]:
        # Known anomalies are spread over validation and training by their number.
        p = prepared[i]
        return len(p.fitting), p.encoded.shape[1], int((p.labels[p.fitting] == 1).sum())

    for _, members in groupby(sorted(prepared, key=shape), key=shape):
        group = list(members)
        try:
            _train([detectors[i] for i in group], [prepared[i] for i in group])
        except TrainingError as error:
            for i in group:
                errors[i] = error
            continue
        for i in group:
            errors[i] = _complete(detectors[i], prepared[i])
    return errors


def _train(detectors: Sequence[Any], prepared: Sequence[Prepared]) -> None:
    first = detectors[0]
    pairs = [p.tensors(first._device())[:2] for p in prepared]
    n = len(pairs[0][0])
    X, y = torch.cat([X for X, _ in pairs]), torch.cat([y for _, y in pairs])
    rows = torch.arange(len(X), device=X.device).reshape(-1, n)
    seeds = [p.seeds[0] for p in prepared]
    training = train(first, X, y, spec=first.spec_, seeds=seeds, settings=first._settings(n), rows=rows)
    for r, detector in enumerate(detectors):
        detector._take_replica(training, r)


def _complete(detector: Any, prepared: Prepared) -> WhitecrowError | None:
    # Alone, a fit whose first epoch diverges is an error; among others it keeps its untrained networks.
    if detector.diverged_[0] and detector.n_epochs_[0] == 0:
        return TrainingError(
            f"{type(detector).__name__}: the loss is not finite in the first epoch. Lower lr (now {detector._rate:g}), "
            "or set clip_norm."
        )
    try:
        detector._complete_fit(prepared)
    except WhitecrowError as error:
        return error
    return None


def _shared(detector: Detector) -> dict[str, Any]:
    return {name: value for name, value in detector.get_params().items() if name not in _APART}

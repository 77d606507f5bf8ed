"""What a method trains, in which order: batches, objectives and stages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from torch import Tensor

__all__ = ["Batch", "Objective", "Schedule", "Stage", "idle", "is_idle"]

Schedule = Literal["constant", "cosine"]
_Hook = TypeVar("_Hook", bound=Callable[..., Any])


def idle(hook: _Hook) -> _Hook:
    """Mark a hook that does nothing, so that the engine need not gather the training rows for it."""
    hook.__dict__["idle"] = True
    return hook


def is_idle(hook: Callable[..., Any]) -> bool:
    """Return whether a hook, or the method that it is bound as, is marked by :func:`idle`."""
    return getattr(hook, "idle", False)


@dataclass(slots=True)
class Batch:
    """Rows of one optimiser step.

    Attributes
    ----------
    x : Tensor [B, ...]
        Encoded rows, or ``[R, B, ...]`` where replicas run stacked.
    y : Tensor [B] or None
        Labels (1 anomaly, 0 normal, -1 unlabelled), for a method that declares ``uses_labels``.
    weight : Tensor [B] or None
        Weights of the rows, at least 0. None means that all are equal.
    """

    x: Tensor
    y: Tensor | None = None
    weight: Tensor | None = None

    def mean(self, values: Tensor) -> Tensor:
        """Return the weighted mean of one value per row, ``[B] -> []`` or ``[R, B] -> [R]``."""
        if self.weight is None:
            return values.mean(-1)
        return (values * self.weight).sum(-1) / self.weight.sum(-1).clamp_min(1e-12)


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss and the networks that it trains.

    Parameters
    ----------
    loss : str, default="loss"
        Name of the method ``(net, batch) -> scalar`` of the detector.
    trains : tuple of str, default=()
        Names of members of ``Networks``; the others are frozen during this objective's step. Empty means all.
    lr : float, optional
        Learning rate, where it differs from the detector's.
    betas : tuple of float, default=(0.9, 0.999)
        Decay rates of Adam's moments.
    every : int, default=1
        It steps on each ``every``-th batch of an epoch, from the first on: 5 for a generator whose critic takes five
        steps to its one.
    """

    loss: str = "loss"
    trains: tuple[str, ...] = ()
    lr: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    every: int = 1


@dataclass(frozen=True, slots=True)
class Stage:
    """Epochs in which the same objectives take turns, one step each per batch.

    Parameters
    ----------
    objectives : tuple of Objective
        In the order in which they step.
    epochs : int, optional
        Passes over the training rows; the detector's ``epochs`` where it is None.
    name : str, default="fit"
        Shown with the progress and in ``history_``.
    early_stop : bool, default=True
        Whether a replica may stop when the first objective no longer improves on the validation rows.
    average : float from 0 to 1 (excluded), default=0
        Decay of a moving average of the parameters over the steps of the stage, corrected for its start. Above 0
        the averaged parameters are validated and kept, as networks that play against each other want it.
    balanced : bool, default=False
        Whether half of each batch are known anomalies (``y == 1``, drawn with replacement) and half other rows, in an
        epoch of the usual length. Without known anomalies the order is the usual one.
    """

    objectives: tuple[Objective, ...] = (Objective(),)
    epochs: int | None = None
    name: str = "fit"
    early_stop: bool = True
    average: float = 0.0
    balanced: bool = False

    @property
    def members(self) -> frozenset[str] | None:
        """Members of ``Networks`` that its objectives train; None = all."""
        if any(not objective.trains for objective in self.objectives):
            return None
        return frozenset(member for objective in self.objectives for member in objective.trains)

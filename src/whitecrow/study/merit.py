"""What a figure of merit is: how it is computed, what it takes from the test labels, and where it has a meaning."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Natural, check
from whitecrow.metrics.inputs import labelled_scores

__all__ = ["BEST", "Compute", "Figure", "Labels", "Scored"]

Labels = NDArray[np.bool_]

BEST = "The threshold is the best one on the labels it is then measured on."


class Scored(NamedTuple):
    """What figures are computed from: the checked arguments of :meth:`Figure.__call__`."""

    y: Labels
    scores: NDArray[np.float64]
    threshold: float
    seed: int
    buffer: int


Compute = Callable[[Scored], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of merit of the scores of one test.

    Attributes
    ----------
    name, title, description : str
        Name in the registry, heading of a column, one or two sentences.
    compute : callable
        ``compute(scored) -> float``; call the figure itself instead, it checks first.
    direction : {"higher", "lower", "none"}
        What is better.
    uses_test_labels : str
        What is taken from the test labels beyond comparing with them, to be shown beside the figure; empty if
        nothing is.
    needs_threshold : bool
        Whether the model's own threshold is needed.
    protocols : tuple of str
        Protocols whose tests it can be taken of; empty if of any.
    """

    name: str
    title: str
    description: str
    compute: Compute
    direction: Literal["higher", "lower", "none"] = "higher"
    uses_test_labels: str = ""
    needs_threshold: bool = False
    protocols: tuple[str, ...] = ()

    def __call__(
        self, y: ArrayLike, scores: ArrayLike, threshold: float | None = None, *, seed: int = 0, buffer: int = 0
    ) -> float:
        """Return the figure.

        Parameters
        ----------
        y : array-like of {0, 1}, shape (N,)
            Labels of the test; 1 = anomaly.
        scores : array-like, shape (N,)
            Finite; higher = more anomalous.
        threshold : float, optional
            The model's own, fitted without these labels.
        seed : int, default=0
            Seed of the figures that draw rows.
        buffer : int, default=0
            Largest buffer of the volumes under surfaces, in steps: the period of the series. 0 forgives no lag.

        Raises
        ------
        DataError
            If labels, scores or threshold cannot be used, or a class is missing that the figure needs.
        ParameterError
            If a threshold is needed and absent.
        """
        check(self.name, "seed", seed, Natural)
        if self.needs_threshold and threshold is None:
            raise ParameterError(f"{self.name} needs the model's own threshold, and none was given.")
        labels, values = labelled_scores(y, scores, anomalies=False, normals=False)
        return float(self.compute(Scored(labels, values, np.nan if threshold is None else threshold, seed, buffer)))

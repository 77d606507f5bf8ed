"""What the detectors of series share: windows are cut before they see them, and folded into scores of steps after."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Positive
from whitecrow.core.spec import Kind
from whitecrow.data.series import SeriesEncoder
from whitecrow.data.series.encoder import Window
from whitecrow.data.series.folding import Fold
from whitecrow.data.series.windows import chronological_split, training_part
from whitecrow.detectors._base import Detector
from whitecrow.detectors._deep import DeepDetector
from whitecrow.detectors._prepared import Prepared
from whitecrow.nn import Networks
from whitecrow.train.engine import Settings

__all__ = ["DeepSeriesDetector", "SeriesDetector"]


class SeriesDetector(Detector):
    """Base of the detectors of series; a method sees windows, each as one row of W * C values.

    ``fit`` takes one series ``[T]`` or ``[T, C]``, a list of series of any lengths, a table with a column of times, or
    fixed windows ``[N, T, C]``. Scores have one value per time step, in the form of what was given; for fixed windows
    one value each. Held-out rows are the last steps, not random ones: neighbouring steps are too much alike.

    Parameters
    ----------
    window : int or "auto", default="auto"
        Steps in a window, W. "auto" takes the period of the first channel by its autocorrelation. Fixed windows are
        taken whole.
    fold : {"last", "centre", "mean", "median", "max"}, default="mean"
        How scores of windows become scores of steps: the window that ends there (causal), the one around it, or the
        mean, median or largest of all that cover it.
    stride : int, default=1
        Steps from one training window to the next. Scoring takes every window.
    clip : float or None, default=10
        Largest magnitude of a scaled value.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("sequence",)

    window: Window = "auto"
    fold: Fold = "mean"
    stride: Count = 1
    clip: Positive | None = 10.0

    @property
    def whole_series(self) -> bool:
        """Whether the windows of a series are scored together, by :meth:`score_segment`; else each by itself."""
        return False

    def score_segment(self, net: Networks, steps: Tensor) -> Tensor:
        """Return the scores of all windows of consecutive steps, for a method that sees a series as a whole.

        A method where ``whole_series`` may be true writes it beside :meth:`score_batch`, which scores fixed windows.

        Parameters
        ----------
        net : Networks
            One replica.
        steps : Tensor [n, C], float32
            Scaled steps without a gap, at least W of them.

        Returns
        -------
        Tensor [n - W + 1], or [n - W + 1, W]
            Scores of the windows in their order, or errors of their steps. Higher = more anomalous; finite.
        """
        raise TypeError(f"{type(self).__name__} defines no score_segment(net, steps).")

    def _scores_of(self, rows: Any) -> NDArray[np.float64]:
        if rows.form == "windows" or not self.whole_series:
            return super()._scores_of(rows)
        return self._segment_scores(rows, lambda net, steps, first: self.score_segment(net, steps))

    def _segment_scores(self, rows: Any, hook: Callable[[Networks, Tensor, int], Tensor]) -> NDArray[np.float64]:
        """Return the scores ``[R, total]`` that a hook makes of each segment's steps and of the number of its first."""
        replicas = self.replicas_
        encoder: Any = self.encoder_
        folding = encoder.folding(rows, replicas.n)
        steps = torch.from_numpy(encoder.steps(rows)).to(next(iter(replicas.stacked.values())).device)
        replicas.train(False)
        with torch.inference_mode():
            for low, high in pairwise(rows.bounds.tolist()):
                if high - low >= self.spec_.shape[0]:
                    parts = [hook(replicas.replica(r), steps[low:high], low) for r in range(replicas.n)]
                    folding.add(torch.stack(parts).cpu().numpy())
        return folding.result()

    def _encoder(self, kind: Kind) -> SeriesEncoder:
        clip = None if self.clip is None else float(self.clip)
        return SeriesEncoder(self.window, self.fold, self.scaling, clip, int(self.stride))

    def _labels(self, y: ArrayLike | None, n: int) -> NDArray[np.int64]:
        if isinstance(y, (list, tuple)) and y and np.ndim(y[0]):  # one array for each series of a list
            y = np.concatenate([np.asarray(part) for part in y])
        return super()._labels(y, n)

    def _encode_all(self, rows: Any, labels: NDArray[np.int64], seeds: tuple[int, ...], started: float) -> Prepared:
        encoder: Any = self.encoder_
        self._form = rows.form
        known = rows.arrange(labels) == 1
        share = float(self.calibration)
        encoder.fit(rows, rows=training_part(rows, share) & ~known)
        split = chronological_split(rows, encoder.window_, share, stride=int(self.stride))
        steps = encoder.steps(rows)
        width, total = encoder.n_features_out_, len(steps) - encoder.window_ + 1
        windows = as_strided(steps, (total, width), (steps.strides[0], steps.strides[1]))
        # A window is known to be anomalous if one of its steps is.
        per_step = known if rows.form != "windows" else np.repeat(known, encoder.window_)
        before = np.concatenate([[0], per_step.cumsum()])
        anomalous = before[encoder.window_ :] > before[: -encoder.window_]
        fitting = split.train if self.uses_labels else split.train[~anomalous[split.train]]
        if len(fitting) < 2:
            raise DataError(
                f"{type(self).__name__}: {len(fitting)} windows of {encoder.window_} steps are left to train on; at "
                "least 2 are needed. Give longer series, take a shorter window, or hold out a smaller share "
                f"(calibration, now {share:g})."
            )
        labels = np.where(anomalous, 1, -1).astype(np.int64)
        return Prepared(windows, labels, fitting, split.held_out, seeds, started, steps=steps, given=rows)

    def _scores_of_fit(self, prepared: Prepared) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows = prepared.given
        scores = self._fit_scores(prepared)
        held_out = (
            ~training_part(rows, float(self.calibration)) if len(prepared.held_out) else np.zeros(len(scores), bool)
        )
        normal = self._normal_steps(prepared)
        return scores[held_out & normal], scores[normal]

    def _fit_scores(self, prepared: Prepared) -> NDArray[np.float64]:
        """Return the scores of the steps, or fixed windows, of the fit."""
        return self._scores_of(prepared.given).mean(0)

    def _normal_steps(self, prepared: Prepared) -> NDArray[np.bool_]:
        """Return which steps lie in no window that is known to be anomalous, bool [total]."""
        if prepared.given.form == "windows":
            return prepared.labels[prepared.given.bounds[:-1]] != 1
        covered = np.zeros(len(prepared.given.values) + 1)
        starts = np.flatnonzero(prepared.labels == 1)
        np.add.at(covered, starts, 1)
        np.add.at(covered, starts + self.spec_.shape[0], -1)
        normal = covered.cumsum()[:-1] == 0
        return normal if normal.any() else np.ones_like(normal)


class DeepSeriesDetector(SeriesDetector, DeepDetector):
    """Base of the detectors of series that are trained by gradients.

    The windows that stop the training are the last of the training windows, and those that share steps with them are
    left out.
    """

    def _settings(self, n: int) -> Settings:
        settings = super()._settings(n)
        gap = 0 if self._fixed else -(-self.spec_.shape[0] // int(self.stride)) - 1
        return replace(settings, gap=gap)

    @property
    def _fixed(self) -> bool:
        """Whether the fit was given fixed windows, which share no steps."""
        return self._form == "windows"

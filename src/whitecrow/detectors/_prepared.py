"""What a fit starts from, between the checks and the training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Prepared"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a fit starts from: encoded rows, labels, and which rows train and which calibrate."""

    encoded: NDArray[np.float32]
    labels: NDArray[np.int64]
    fitting: NDArray[np.int64]
    held_out: NDArray[np.int64]
    seeds: tuple[int, ...]
    started: float
    steps: NDArray[np.float32] | None = None  # of series, [total, C]: the encoded rows are windows that overlap in it
    given: Any = None  # the series themselves

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return rows and their labels, and which of them to train on; None = all."""
        if self.steps is None:
            chosen = self.encoded[self.fitting], self.labels[self.fitting]
            return torch.from_numpy(chosen[0]).to(device), torch.from_numpy(chosen[1]).to(device), None
        steps = torch.from_numpy(self.steps).to(device)
        windows = steps.as_strided(self.encoded.shape, (steps.shape[1], 1))
        labels, rows = (torch.from_numpy(a).to(device) for a in (self.labels, self.fitting))
        return windows, labels, rows

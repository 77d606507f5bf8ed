"""What a fit starts from, between the checks and the training."""

from dataclasses import dataclass

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

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the rows to train on, and their labels."""
        chosen = self.encoded[self.fitting], self.labels[self.fitting]
        return torch.from_numpy(chosen[0]).to(device), torch.from_numpy(chosen[1]).to(device)

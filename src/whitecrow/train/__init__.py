"""The only training loop and the only optimiser: objectives, stages, replicas, checkpoints, progress."""

from whitecrow.train.checkpoint import Checkpoint
from whitecrow.train.engine import Method, Training, threads_for, train
from whitecrow.train.monitor import Progress, monitor
from whitecrow.train.plan import Batch, Objective, Stage
from whitecrow.train.replicas import Execution, Replicas

__all__ = [
    "Batch",
    "Checkpoint",
    "Execution",
    "Method",
    "Objective",
    "Progress",
    "Replicas",
    "Stage",
    "Training",
    "monitor",
    "threads_for",
    "train",
]

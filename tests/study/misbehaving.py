"""Detectors that misbehave, for the tests of budgets and failures."""

import time

import torch

from whitecrow.core.errors import TrainingError
from whitecrow.detectors import Detector
from whitecrow.nn import Networks


class Misbehaving(Detector):
    """Does what ``how`` says."""

    how: str = "sleep"

    def learn(self, X, y, seed):
        if self.how == "sleep":
            time.sleep(600)
        if self.how == "memory":
            held = [torch.ones(25_000_000) for _ in range(40)]
            time.sleep(600 * bool(held))
        if self.how == "die":
            import os

            os._exit(3)
        if self.how == "bug":
            raise ZeroDivisionError("a fault of the method")
        if self.how == "odd" and seed % 2:
            raise TrainingError("an odd seed")
        return Networks(c=X.mean(0))

    def score_batch(self, net, x):
        return (x - net.c).square().sum(1)

"""Detectors as another package might bring them: one that is well made, and some that a file cannot hold."""

import torch
from torch import nn

from whitecrow.core.errors import ModelFileError
from whitecrow.core.parameters import Count
from whitecrow.detectors import DeepDetector, Detector
from whitecrow.nn import Networks


class Box(Detector):
    """Score by the distance to the box that holds all training rows, column by column in some order."""

    def learn(self, X, y, seed):
        order = torch.arange(X.shape[1] - 1, -1, -1)
        return Networks(low=X.amin(0), high=X.amax(0).double(), order=order, used=torch.ones(X.shape[1]).bool())

    def score_batch(self, net, x):
        x = x[:, net.order]
        outside = (net.low[net.order] - x).clamp_min(0) + (x - net.high[net.order]).clamp_min(0)
        return (outside * net.used).sum(1)

    def check_buffers(self, net):
        if set(dict(net.tensors())) != {"low", "high", "order", "used"}:
            raise ModelFileError("Box has the buffers low, high, order and used.")
        if ((net.order < 0) | (net.order >= len(net.low))).any():
            raise ModelFileError("The order of Box names a column that does not exist.")


class NestedBox(Box):
    """Keep the buffers in a module of its own, where a file has no class to rebuild them from."""

    def learn(self, X, y, seed):
        return Networks(inner=nn.Linear(2, 2), **dict(super().learn(X, y, seed).tensors()))


class HalfBox(Box):
    """Keep a dtype that a file does not."""

    def learn(self, X, y, seed):
        net = super().learn(X, y, seed)
        return Networks(**{**dict(net.tensors()), "low": net.low.half()})


class Linear(DeepDetector):
    """A trained detector with a buffer that is derived, but is no noise."""

    width: Count = 2

    def networks(self, spec):
        net = Networks(layer=nn.Linear(spec.n_features, self.width))
        net.register_buffer("derived", torch.ones(self.width), persistent=False)
        return net

    def loss(self, net, batch):
        return batch.mean(self.score_batch(net, batch.x))

    def score_batch(self, net, x):
        return (net.layer(x) * net.derived).square().sum(-1)

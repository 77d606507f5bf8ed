"""Perceptrons of one shape side by side, as batched products instead of a loop over networks."""

import math

import torch
from torch import Tensor, nn

from whitecrow.nn.perceptron import linear

__all__ = ["Bank", "bank"]


def bank(n: int, n_inputs: int, n_hidden: int, n_outputs: int) -> "Bank":
    """Return ``n`` perceptrons of two layers without biases, which all see the same rows; see :class:`Bank`."""
    return Bank(n, n_inputs, n_hidden, n_outputs)


class Bank(nn.Module):
    r"""K perceptrons :math:`M_k(x) = V_k \max(U_k x, 0)` that see the same rows.

    The hidden layers of all are one product, the output layers one batched product. It runs on ``[B, D]``, and on
    ``[R, B, D]`` with stacked parameters. Weights are drawn like those of :func:`~whitecrow.nn.mlp`.

    Parameters
    ----------
    n : int
        K, number of perceptrons.
    n_inputs, n_hidden, n_outputs : int
        Widths of the layers of each.
    """

    def __init__(self, n: int, n_inputs: int, n_hidden: int, n_outputs: int) -> None:
        super().__init__()
        self.n = n
        inner, outer = math.sqrt(6 / n_inputs), math.sqrt(3 / n_hidden)
        self.inner = nn.Parameter(torch.empty(n * n_hidden, n_inputs).uniform_(-inner, inner))
        self.outer = nn.Parameter(torch.empty(n, n_outputs, n_hidden).uniform_(-outer, outer))

    def forward(self, x: Tensor, then: Tensor | None = None) -> Tensor:
        """Return the outputs ``[K, B, out]`` for rows ``[B, in]``.

        Parameters
        ----------
        x : Tensor [B, in]
            Rows.
        then : Tensor [E, out], optional
            A linear map of the outputs, which are then ``[K, B, E]``. It is multiplied into the output weights once
            instead of being applied to K times B outputs.
        """
        hidden = linear(x, self.inner, "relu").unflatten(-1, (self.n, -1)).transpose(-2, -3)
        outer = self.outer.mT
        if then is not None:
            outer = linear(outer.flatten(-3, -2), then).unflatten(-2, (self.n, -1))
        return hidden @ outer

"""Randomness that belongs to a replica: the same key gives the same draws, whatever runs beside it.

A draw is a window into a pool of numbers. The pool is filled from (key, epoch) and the window is placed by
(step, call), so a draw depends on the replica's key and on counters alone: it can be stacked, saved and resumed,
and it costs a slice instead of a random number per element.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Dropout", "Noise", "derive_seed", "fill", "seeded"]

POOL = 1 << 16
_STRIDE = 40_503  # odd, so that successive windows visit every offset before one returns


def derive_seed(*parts: int | str) -> int:
    """Return a 63-bit seed that depends on every part and on nothing else."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's default generator inside the block and put its state back afterwards.

    Initialisers of foreign modules know no other generator.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class Noise(nn.Module):
    """Reproducible standard normal or uniform numbers for one replica.

    Parameters
    ----------
    distribution : {"normal", "uniform"}, default="normal"
        What the pool holds: N(0, 1), or U(0, 1).

    Notes
    -----
    The pool holds 65,536 numbers and is refilled every epoch. Within an epoch windows overlap after some dozen
    steps; the noise of a method averages over batches, so this is of no consequence to training.
    """

    def __init__(self, distribution: Literal["normal", "uniform"] = "normal") -> None:
        super().__init__()
        self.distribution = distribution
        self.register_buffer("key", torch.randint(1 << 62, (), dtype=torch.int64))
        self.register_buffer("pool", torch.zeros(POOL), persistent=False)
        self.key: Tensor
        self.pool: Tensor
        self.offset = 0

    def seek(self, step: int) -> None:
        """Place the next window for optimiser step ``step`` (0, 1, ...)."""
        self.offset = step * _STRIDE % POOL

    def draw(self, *shape: int) -> Tensor:
        """Return noise of shape ``shape``, with a leading replica axis where the replicas are stacked."""
        size = 1
        for length in shape:
            size *= length
        start, self.offset = self.offset, (self.offset + size) % POOL
        if start + size <= POOL:
            window = self.pool[..., start : start + size]
        else:  # the pool is read as a ring, several times over where a draw is larger than it
            ring = torch.arange(start, start + size, device=self.pool.device) % POOL
            window = self.pool[..., ring]
        return window.reshape(*self.pool.shape[:-1], *shape)

    def like(self, x: Tensor) -> Tensor:
        """Return noise of the shape of ``x``, which is ``[B, ...]`` or, stacked, ``[R, B, ...]``."""
        return self.draw(*x.shape[self.pool.dim() - 1 :])


class Dropout(nn.Module):
    """Set each value to zero with probability ``p`` in training, and scale the rest by ``1 / (1 - p)``.

    Parameters
    ----------
    p : float
        Probability from 0 to 1 (excluded).

    References
    ----------
    .. [1] N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 2014.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.noise = Noise("uniform")

    def mask(self, shape: torch.Size) -> Tensor:
        """Return factors of 0 or ``1 / (1 - p)`` for a value of shape ``[B, ...]`` or ``[R, B, ...]``."""
        draws = self.noise.draw(*shape[self.noise.pool.dim() - 1 :])
        return (draws >= self.p).to(draws.dtype).mul_(1 / (1 - self.p))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with values dropped in training, ``x`` itself otherwise; shape kept."""
        return x * self.mask(x.shape) if self.training and self.p else x


def fill(key: Tensor, pool: Tensor, distribution: str, *counters: int | str) -> None:
    """Fill a pool ``[POOL]`` or pools ``[R, POOL]`` in place from their keys and the counters (an epoch, a stage)."""
    for k, row in zip(key.reshape(-1).tolist(), pool.view(-1, POOL), strict=True):
        generator = torch.Generator().manual_seed(derive_seed(k, *counters))
        draws = torch.empty(POOL)
        draws = draws.normal_(generator=generator) if distribution == "normal" else draws.uniform_(generator=generator)
        row.copy_(draws)

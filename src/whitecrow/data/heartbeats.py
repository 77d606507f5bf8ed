"""SIMULATED heartbeats: bumps and dips that look like those of an electrocardiogram, with labelled deviations.

They are drawn from a formula, not recorded: use them to learn and to demonstrate, never as evidence about hearts. A
beat is a sum of Gaussian waves P, Q, R, S and T whose places, widths and heights vary a little from beat to beat, over
a slow drift and noise; a deviation moves, turns over or leaves out waves.
"""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whitecrow.core.parameters import Count, Natural, Range, check

__all__ = ["BEAT_KINDS", "BEAT_STEPS", "Heartbeats", "simulate_heartbeats"]

BEAT_STEPS = 140
"""Steps of a beat."""

# Place (share of the beat), width (share), height (no unit) of the waves P, Q, R, S, T.
_WAVES = np.array([(0.20, 0.030, 0.35), (0.34, 0.012, -0.45), (0.38, 0.016, 2.6), (0.42, 0.014, -0.9),
                   (0.66, 0.055, 0.75)])  # fmt: skip
BEAT_KINDS = ("normal", "early", "wide", "inverted T", "no P", "flat")
"""Kinds of beat; the first is normal."""

_Share = Annotated[float, Range(0, 1)]


class Heartbeats(NamedTuple):
    """Simulated beats.

    Parameters
    ----------
    beats : ndarray of float64 [N, 140]
        In units of no meaning; about -1 to 3.
    kinds : ndarray of str [N]
        Of :data:`BEAT_KINDS`.
    """

    beats: NDArray[np.float64]
    kinds: NDArray[np.str_]


def simulate_heartbeats(n: int = 1500, *, anomalous: float = 0.1, seed: int = 0) -> Heartbeats:
    """Return simulated heartbeats; the same arguments give the same beats.

    Parameters
    ----------
    n : int, default=1500
        Number of beats.
    anomalous : float from 0 to 1, default=0.1
        Probability that a beat deviates; its kind is drawn evenly.
    seed : int, default=0
        Source of all randomness.

    Raises
    ------
    ParameterError
        If an argument is out of its range.

    Examples
    --------
    >>> simulate_heartbeats(3, anomalous=0.0).beats.shape
    (3, 140)
    """
    check("simulate_heartbeats", "n", n, Count)
    check("simulate_heartbeats", "anomalous", anomalous, _Share)
    check("simulate_heartbeats", "seed", seed, Natural)
    rng = np.random.default_rng(seed)
    kinds = np.where(rng.random(n) < anomalous, rng.integers(1, len(BEAT_KINDS), n), 0)
    waves = np.repeat(_WAVES[None], n, axis=0)
    waves[:, :, 0] += rng.normal(0, 0.006, (n, 5)) + rng.normal(0, 0.008, (n, 1))
    waves[:, :, 1] *= np.exp(rng.normal(0, 0.08, (n, 5)))
    waves[:, :, 2] *= np.exp(rng.normal(0, 0.10, (n, 5)))
    _deviate(waves, kinds)
    t = np.linspace(0, 1, BEAT_STEPS)
    place, width, height = (waves[:, :, k, None] for k in range(3))
    beats = (height * np.exp(-0.5 * ((t - place) / width) ** 2)).sum(1)
    beats += rng.normal(0, 0.04, (n, 1)) * np.sin(2 * np.pi * (t + rng.random((n, 1))))
    beats += rng.normal(0, 0.03, beats.shape)
    return Heartbeats(beats, np.array(BEAT_KINDS)[kinds])


def _deviate(waves: NDArray[np.float64], kinds: NDArray[np.int64]) -> None:
    """Change the waves ``[N, 5, 3]`` of beats that deviate."""
    early, wide, inverted, without_p, flat = (kinds == k for k in range(1, len(BEAT_KINDS)))
    waves[early, :, 0] -= 0.12
    waves[wide, 1:4, 1] *= 3.0
    waves[wide, 2, 2] *= 0.7
    waves[inverted, 4, 2] *= -1.0
    waves[without_p, 0, 2] = 0.0
    waves[without_p, 4, 0] += 0.08
    waves[flat, :, 2] *= 0.15

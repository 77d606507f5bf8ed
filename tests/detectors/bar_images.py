"""Small images of two soft horizontal bars, for the tests of image detectors."""

import numpy as np
import torch

BRIEF = {"random_state": 0, "epochs": 2, "regime": "clean", "calibration": 0.0, "verbose": False}


def bars(n: int, seed: int = 0, side: int = 8) -> np.ndarray:
    """Return images in [0, 1], [n, side, side], of which no two are alike."""
    rng = np.random.default_rng(seed)
    y = np.arange(side)[:, None, None]
    centres = np.array([0.25, 0.7]) * side + rng.normal(scale=0.35, size=(n, 1, 1, 2))
    light = 0.6 * np.exp(-((y - centres) ** 2) / (2 * 0.8**2)).sum(-1) * rng.uniform(0.85, 1.15, size=(n, 1, 1))
    pixels = 0.1 + np.broadcast_to(light, (n, side, side)) + rng.normal(scale=0.02, size=(n, side, side))
    return pixels.clip(0, 1)


def turned(n: int, seed: int = 0) -> np.ndarray:
    """Return images of vertical bars."""
    return bars(n, seed).transpose(0, 2, 1).copy()


def encoded(detector, images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(detector._encode(images))


def network(detector):
    """Return replica 0 as it scores, its noise at the start."""
    detector.replicas_.train(False)
    detector.replicas_.seek_noise(0)
    return detector.replicas_.replica(0)

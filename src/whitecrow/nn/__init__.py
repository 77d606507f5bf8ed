"""Layers that are safe to stack: the same code runs one network or R replicas of it.

A tensor of one replica has its usual shape; stacked, it has a leading replica axis. ``mlp`` and the losses run on
``[B, D]`` and on ``[R, B, D]``; randomness is drawn from :class:`Noise`, whose key is part of the replica.
"""

from whitecrow.nn.bank import Bank, bank
from whitecrow.nn.losses import matching_loss, row_shares, squared_error
from whitecrow.nn.mixture import Mixture, ResidualMeasure, estimate_mixture, mixture_energy, residual_features
from whitecrow.nn.networks import Networks
from whitecrow.nn.noise import Dropout, Noise, derive_seed, seeded
from whitecrow.nn.perceptron import (
    MLP,
    Activation,
    Initialisation,
    hidden_width,
    mean_error_gradient,
    mlp,
    pullback,
    reconstruction_error,
)
from whitecrow.nn.slices import sliced_gradient
from whitecrow.nn.som import fit_map, map_coordinates
from whitecrow.nn.spectral_norm import SpectralNorm
from whitecrow.nn.windows import complement_product, window_product

__all__ = [
    "MLP",
    "Activation",
    "Bank",
    "Dropout",
    "Initialisation",
    "Mixture",
    "Networks",
    "Noise",
    "ResidualMeasure",
    "SpectralNorm",
    "bank",
    "complement_product",
    "derive_seed",
    "estimate_mixture",
    "fit_map",
    "hidden_width",
    "map_coordinates",
    "matching_loss",
    "mean_error_gradient",
    "mixture_energy",
    "mlp",
    "pullback",
    "reconstruction_error",
    "residual_features",
    "row_shares",
    "seeded",
    "sliced_gradient",
    "squared_error",
    "window_product",
]

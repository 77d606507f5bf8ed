"""Layers that are safe to stack: the same code runs one network or R replicas of it.

A tensor of one replica has its usual shape; stacked, it has a leading replica axis. ``mlp`` and the losses run on
``[B, D]`` and on ``[R, B, D]``; randomness is drawn from :class:`Noise`, whose key is part of the replica.
"""

from whitecrow.nn.bank import Bank, bank
from whitecrow.nn.convolution import (
    PairFeatures,
    SpectralConv2d,
    ToImages,
    ToRows,
    code_width,
    conv_decoder,
    conv_encoder,
    conv_stages,
    diversity,
    flat_width,
    gradient_penalty,
    lenet_encoder,
    reinitialise,
    to_images,
)
from whitecrow.nn.losses import matching_loss, row_shares, squared_error
from whitecrow.nn.maps import box_filter, gaussian_filter, structural_dissimilarity
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
from whitecrow.nn.residual import ResidualBlock, order_accuracy, residual_encoder, residual_generator
from whitecrow.nn.running_statistics import measure_statistics
from whitecrow.nn.slices import sliced_gradient
from whitecrow.nn.softplus import softplus
from whitecrow.nn.som import fit_map, map_coordinates
from whitecrow.nn.spectral_norm import SpectralNorm
from whitecrow.nn.unet import UNet
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
    "PairFeatures",
    "ResidualBlock",
    "ResidualMeasure",
    "SpectralConv2d",
    "SpectralNorm",
    "ToImages",
    "ToRows",
    "UNet",
    "bank",
    "box_filter",
    "code_width",
    "complement_product",
    "conv_decoder",
    "conv_encoder",
    "conv_stages",
    "derive_seed",
    "diversity",
    "estimate_mixture",
    "fit_map",
    "flat_width",
    "gaussian_filter",
    "gradient_penalty",
    "hidden_width",
    "lenet_encoder",
    "map_coordinates",
    "matching_loss",
    "mean_error_gradient",
    "measure_statistics",
    "mixture_energy",
    "mlp",
    "order_accuracy",
    "pullback",
    "reconstruction_error",
    "reinitialise",
    "residual_encoder",
    "residual_features",
    "residual_generator",
    "row_shares",
    "seeded",
    "sliced_gradient",
    "softplus",
    "squared_error",
    "structural_dissimilarity",
    "to_images",
    "window_product",
]

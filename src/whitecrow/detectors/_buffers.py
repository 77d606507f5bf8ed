"""Checks of the buffers that a model file brings, for detectors that learn without gradients."""

import torch
from torch import Tensor

from whitecrow.core.errors import ModelFileError
from whitecrow.nn import Networks

__all__ = ["check_layout", "refuse"]

Layout = tuple[torch.dtype, tuple[int | None, ...]]


def check_layout(owner: str, net: Networks, **expected: Layout) -> None:
    """Check that the buffers are exactly those expected, and that their numbers are finite.

    Parameters
    ----------
    owner : str
        Name of the detector's class.
    net : Networks
        The buffers as loaded.
    **expected : (dtype, shape)
        By the name of the buffer; None in a shape stands for any length.

    Raises
    ------
    ModelFileError
        If a buffer is absent, unknown, of another dtype or shape, or holds NaN or inf.
    """
    found = dict(net.tensors())
    if found.keys() != expected.keys():
        refuse(owner, f"its buffers are {', '.join(sorted(found))}, not {', '.join(sorted(expected))}")
    for name, (dtype, shape) in expected.items():
        tensor = found[name]
        if tensor.dtype != dtype or not _fits(tensor, shape):
            refuse(owner, f"{name} is {tensor.dtype} {list(tensor.shape)}, not {dtype} {list(shape)}")
        if not torch.isfinite(tensor).all():
            refuse(owner, f"{name} holds numbers that are not finite")


def refuse(owner: str, fault: str) -> None:
    """Raise the error that a model file is damaged."""
    raise ModelFileError(f"The model file holds no {owner} that can score: {fault}. Save the detector again.")


def _fits(tensor: Tensor, shape: tuple[int | None, ...]) -> bool:
    return tensor.dim() == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, tensor.shape, strict=True)
    )

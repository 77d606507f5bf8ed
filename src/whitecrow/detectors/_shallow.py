"""A detector without gradients inside one with: found by name, its buffers kept beside the networks.

The buffers of the replicas may differ in size. They are stacked filled up with zeros, and their sizes beside them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from whitecrow.core import parameters, registry
from whitecrow.core.errors import ParameterError, UnknownNameError
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import refuse
from whitecrow.detectors._committee import CommitteeDetector
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Networks

__all__ = ["check_sizes", "cut", "fill", "shallow_detector"]


def shallow_detector(owner: str, name: str, given: Sequence[str] = ()) -> Detector:
    """Return the registered detector of this name, unfitted, if it learns without gradients and without labels.

    Parameters
    ----------
    owner : str
        What names it, for the error: ``"DeepHybrid(shallow='lof')"``.
    name : str
        As it is registered.
    given : sequence of str
        Parameters that differ from its defaults, each as ``"name=value"``.

    Raises
    ------
    ParameterError
        If there is no such detector, if it cannot be taken, or if a parameter is out of its range.
    """
    try:
        cls = registry.load(name)
    except (UnknownNameError, ImportError, AttributeError) as error:
        raise ParameterError(f"{owner}: it cannot be loaded. {error}") from error
    if not _is_shallow(cls):
        accepted = [known for known in registry.names("table") if _is_shallow(registry.load(known))]
        raise ParameterError(
            f"{owner}: it must learn from tables without gradients and without labels. Accepted are "
            f"{', '.join(accepted)}."
        )
    fields, values = parameters.fields(cls), {}
    for entry in given:
        key, _, text = entry.partition("=")
        # The constructor refuses an unknown one, and names the nearest.
        values[key] = parameters.parse(cls.__name__, key, text, fields[key].annotation) if key in fields else text
    return cls(**values)


def _is_shallow(cls: type[Detector]) -> bool:
    alone = not issubclass(cls, (DeepDetector, CommitteeDetector))
    return alone and not cls.uses_labels and "table" in cls.kinds


def fill(learnt: Sequence[Networks]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the buffers of R replicas stacked by name ``[R, ...]``, filled up with zeros, and their sizes.

    Parameters
    ----------
    learnt : sequence of Networks
        Buffers of the same names, dtypes and ranks, of any sizes.

    Returns
    -------
    filled : dict of str to Tensor [R, ...]
        In each direction as large as the largest.
    sizes : dict of str to Tensor [R, rank], int64
    """
    filled, sizes = {}, {}
    for name, first in learnt[0].tensors():
        tensors = [dict(net.tensors())[name] for net in learnt]
        sizes[name] = torch.stack([_size(t) for t in tensors])
        filled[name] = first.new_zeros(len(tensors), *sizes[name].amax(0).tolist())
        for home, tensor in zip(filled[name], tensors, strict=True):
            home[tuple(map(slice, tensor.shape))] = tensor
    return filled, sizes


def cut(filled: Networks, sizes: Networks) -> Networks:
    """Return the buffers of one replica in their own sizes."""
    size = dict(sizes.tensors())
    return Networks(**{name: t[tuple(map(slice, size[name].tolist()))] for name, t in filled.tensors()})


def check_sizes(owner: str, filled: Networks, sizes: Networks) -> None:
    """Check the sizes that a model file brings.

    Raises
    ------
    ModelFileError
        If a buffer lacks its size, or cannot have it.
    """
    found, tensors = dict(sizes.tensors()), dict(filled.tensors())
    if found.keys() != tensors.keys():
        refuse(owner, f"it has sizes of {', '.join(sorted(found))}, not of {', '.join(sorted(tensors))}")
    for name, tensor in tensors.items():
        size = found[name]
        fits = size.dtype == torch.int64 and size.shape == (tensor.dim(),)
        if not fits or bool(((size < 0) | (size > _size(tensor))).any()):
            refuse(owner, f"the buffer {name} cannot have the size {size.reshape(-1)[:8].tolist()}")


def _size(tensor: Tensor) -> Tensor:
    return torch.tensor(tensor.shape, dtype=torch.int64, device=tensor.device)

"""Feature extractors from torch modules: a user's own, or an architecture of timm with weights from a local file."""

import copy
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import chain
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from whitecrow.core.errors import ParameterError, missing_extra
from whitecrow.nn.extractors.extractor import FeatureExtractor, Preprocessing, fingerprint_of

__all__ = ["ModuleExtractor", "timm_extractor"]

_MISSING = 0.01
_TRIAL_SIDE = 64
_TIMM_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")


class ModuleExtractor(FeatureExtractor):
    """Features from inside any torch module.

    Parameters
    ----------
    module : torch.nn.Module
        Called with images ``[B, c, h, w]``. A copy of it is kept, in evaluation mode and without gradients.
    layers : sequence of str
        Dotted names of submodules, such as ``"layer2"`` or ``"features.8"``, whose outputs are the maps.
    preprocessing : Preprocessing, optional
        What the module expects. By default three channels with the statistics of ImageNet.
    is_random : bool, default=False
        Whether the weights were drawn and not learnt, which is passed on to reports.

    Raises
    ------
    ParameterError
        If a layer does not exist, is not run once per call, or gives no maps.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[str],
        preprocessing: Preprocessing | None = None,
        *,
        is_random: bool = False,
    ) -> None:
        self.layers = tuple(layers)
        self.preprocessing = Preprocessing() if preprocessing is None else preprocessing
        self.is_random = is_random
        known = [name for name, _ in module.named_modules() if name]
        if not self.layers or len(set(self.layers)) < len(self.layers) or not set(self.layers) <= set(known):
            raise ParameterError(
                f"ModuleExtractor(layers={self.layers}): give names of submodules, each once. There are "
                f"{', '.join(known[:40])}{', ...' if len(known) > 40 else ''}."
            )
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        state = sorted(self.module.state_dict().items())
        self._fingerprint = fingerprint_of([*self.layers, repr(self.preprocessing), *chain.from_iterable(state)])
        side = _TRIAL_SIDE
        trial = self(torch.zeros(1, len(self.preprocessing.mean), side, side)).values()
        self.out_channels = tuple(m.shape[1] for m in trial)
        self.reductions = tuple(side / m.shape[-2] for m in trial)

    @property
    def fingerprint(self) -> str:
        """Digest of the weights, the names of the layers and the preprocessing."""
        return self._fingerprint

    def _maps(self, images: Tensor) -> list[Tensor]:
        self.module.to(images.device)
        found: dict[str, list[Any]] = {name: [] for name in self.layers}
        handles = [
            self.module.get_submodule(name).register_forward_hook(
                lambda module, inputs, output, name=name: found[name].append(output)
            )
            for name in self.layers
        ]
        try:
            self.module(self.preprocessing(images))
        finally:
            for handle in handles:
                handle.remove()
        for name, outputs in found.items():
            if len(outputs) != 1 or not isinstance(outputs[0], Tensor) or outputs[0].dim() != 4:
                raise ParameterError(
                    f"ModuleExtractor(layers={self.layers}): in one call {name!r} gave {len(outputs)} outputs, "
                    f"{[tuple(getattr(o, 'shape', ())) for o in outputs]}. Accepted are submodules that run once and "
                    "give maps [B, c, h, w]."
                )
        return [found[name][0] for name in self.layers]


def timm_extractor(
    name: str, weights: bytes, layers: Sequence[str] | None = None, reductions: Sequence[int] = (8, 16)
) -> ModuleExtractor:
    """Return an extractor with an architecture of timm and weights in the safetensors format.

    Nothing is downloaded, and nothing in the weights can run.

    Parameters
    ----------
    name : str
        Architecture, as ``timm.list_models()`` lists it.
    weights : bytes
        Content of a safetensors file with the architecture's own names. A classifier in it is ignored.
    layers : sequence of str, optional
        Names of submodules. By default the feature levels of these ``reductions``.
    reductions : sequence of int, default=(8, 16)
        Image side over map side.

    Raises
    ------
    MissingExtraError
        If timm is not installed.
    ParameterError
        If there is no such architecture or layer, if the file is none of weights, or if more than 1 % of the
        tensors are absent from it.
    """
    owner = f"extractor='timm:{name}'"
    try:
        timm: Any = import_module("timm")
    except ImportError as error:
        raise missing_extra("timm", "timm", owner) from error
    # A name with a prefix such as hf-hub: would be fetched.
    if not _TIMM_NAME.fullmatch(name) or not timm.is_model(name):
        raise ParameterError(f"{owner}: timm has no architecture of this name. timm.list_models() lists them.")
    try:
        state = load(weights)
    except SafetensorError as error:
        raise ParameterError(f"{owner}: the weights are no safetensors file ({error}).") from error
    module: Any = timm.create_model(name, pretrained=False)
    config = dict(module.pretrained_cfg)
    _load_weights(owner, module, state, _prefixes(config.get("classifier")))
    size = tuple(config["input_size"][1:]) if config.get("fixed_input_size") else None
    preprocessing = Preprocessing(tuple(config["mean"]), tuple(config["std"]), size)
    if layers is not None:
        return ModuleExtractor(module, layers, preprocessing)
    levels = [level for level in module.feature_info if level["reduction"] in reductions]
    extractor = ModuleExtractor(module, [level["module"] for level in levels], preprocessing) if levels else None
    if extractor is None or extractor.out_channels != tuple(level["num_chs"] for level in levels):
        raise ParameterError(
            f"{owner}: it has no maps [B, c, h, w] of 1/{', 1/'.join(map(str, reductions))} of the image's sides. Name "
            "its layers yourself, or take a convolutional network, such as resnet18."
        )
    return extractor


def _prefixes(classifier: Any) -> tuple[str, ...]:
    names = [classifier] if isinstance(classifier, str) else list(classifier or ())
    return tuple(f"{name}." for name in names)


def _load_weights(owner: str, module: nn.Module, state: Mapping[str, Tensor], head: tuple[str, ...]) -> None:
    """Copy the weights of the backbone, everything but the head, into the module."""
    wanted = {
        name: tensor
        for name, tensor in module.state_dict().items()
        if not name.startswith(head) and not name.endswith("num_batches_tracked")
    }
    fitting = {n: t for n, t in state.items() if n in wanted and t.shape == wanted[n].shape}
    absent = sorted(wanted.keys() - fitting.keys())
    if len(absent) > _MISSING * len(wanted):
        raise ParameterError(
            f"{owner}: the weights lack {len(absent)} of the {len(wanted)} tensors of the architecture, or have them "
            f"in other shapes, such as {absent[:3]}. At most 1 % may be absent: give the file of this architecture."
        )
    module.load_state_dict(fitting, strict=False)

"""Feature extractors from ONNX files, run by ONNX Runtime."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from whitecrow.core.errors import ParameterError, missing_extra
from whitecrow.nn.extractors.extractor import FeatureExtractor, Preprocessing, fingerprint_of

__all__ = ["OnnxExtractor"]

_TRIAL_SIDE = 64


class OnnxExtractor(FeatureExtractor):
    """Features from the outputs of an ONNX model, computed on the processor.

    Parameters
    ----------
    content : bytes
        The file, with its weights inside. It has one input ``[B, c, h, w]`` of float32.
    layers : sequence of str, optional
        Names of outputs ``[B, c, h, w]``. All such outputs by default.
    preprocessing : Preprocessing, optional
        What the model expects. By default the statistics of ImageNet for three channels, pixels between -1 and 1
        for one, and the size of the input, where the file fixes one.

    Raises
    ------
    MissingExtraError
        If ONNX Runtime is not installed.
    ParameterError
        If the file is no such model.
    """

    is_random = False

    def __init__(
        self, content: bytes, layers: Sequence[str] | None = None, preprocessing: Preprocessing | None = None
    ) -> None:
        try:
            onnxruntime: Any = import_module("onnxruntime")
        except ImportError as error:
            raise missing_extra("onnxruntime", "onnx", "A feature extractor from an ONNX file") from error
        self._content = content
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors only; what matters is raised
        try:
            self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own hierarchy derives from Exception alone
            raise ParameterError(f"The extractor is no ONNX file that ONNX Runtime can run ({error}).") from error
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        if len(shape) != 4 or inputs[0].type != "tensor(float)" or (isinstance(shape[0], int) and shape[0] != 1):
            given = [(node.name, node.type, node.shape) for node in inputs]
            raise ParameterError(
                f"The ONNX file takes {given}. Accepted is one input [B, c, h, w] of float32, where B is free or 1: "
                "export the part of the model that makes the maps."
            )
        self._input: str = inputs[0].name
        batch, channels, *sides = shape
        self._one_by_one = batch == 1
        known = {node.name: len(node.shape or ()) for node in self._session.get_outputs()}
        self.layers = tuple(layers) if layers is not None else tuple(n for n, rank in known.items() if rank == 4)
        if not self.layers or not all(known.get(name) == 4 for name in self.layers):
            raise ParameterError(
                f"The ONNX file has the outputs {known} (name: number of axes), and {self.layers} were asked for. "
                "Accepted are outputs with four axes, [B, c, h, w]."
            )
        if preprocessing is None:
            size = (sides[0], sides[1]) if all(isinstance(side, int) for side in sides) else None
            preprocessing = Preprocessing(size=size) if channels != 1 else Preprocessing((0.5,), (0.5,), size)
        self.preprocessing = preprocessing
        self._fingerprint = fingerprint_of([content, *self.layers, repr(self.preprocessing)])
        try:
            trial = self(torch.zeros(1, len(preprocessing.mean), _TRIAL_SIDE, _TRIAL_SIDE)).values()
        except Exception as error:
            raise ParameterError(f"The ONNX file cannot describe an image ({error}).") from error
        self.out_channels = tuple(m.shape[1] for m in trial)
        self.reductions = tuple(_TRIAL_SIDE / m.shape[-2] for m in trial)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._content, self.layers, self.preprocessing)

    @property
    def fingerprint(self) -> str:
        """Digest of the file, the names of the layers and the preprocessing."""
        return self._fingerprint

    def _maps(self, images: Tensor) -> list[Tensor]:
        prepared = self.preprocessing(images).cpu()
        batches = prepared.split(1) if self._one_by_one else (prepared,)
        parts = [self._session.run(list(self.layers), {self._input: batch.numpy()}) for batch in batches]
        return [torch.cat([torch.from_numpy(m) for m in maps]).to(images.device) for maps in zip(*parts, strict=True)]

"""What detectors of image patches share: the choice of an extractor, its safe return from a model file, the grid."""

import os
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from whitecrow.core.errors import ModelFileError, ParameterError
from whitecrow.core.parameters import NonNegative
from whitecrow.core.spec import Kind
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import Layout, refuse
from whitecrow.detectors._prepared import Prepared
from whitecrow.nn import Networks, gaussian_filter, to_images
from whitecrow.nn.extractors import FeatureExtractor, OnnxExtractor, RandomExtractor, timm_extractor

__all__ = ["FOLDER", "PatchDetector", "block_rows", "joined"]

FOLDER = "WHITECROW_WEIGHTS"
_BLOCK_VALUES = 1 << 20
_SMOOTHING = 1 / 56  # of the shorter side: 4 pixels of 224


class PatchDetector(Detector):
    """Base of detectors that compare the patches of an image, as a frozen network describes them.

    Parameters
    ----------
    extractor : str or FeatureExtractor, default="random"
        Network that describes the patches. ``"random"``: a shallow convolutional network with random weights, drawn
        from ``random_state``. ``"timm:NAME"``: an architecture of timm with the weights of the file ``weights``.
        ``"onnx:PATH"``: a model whose outputs are maps. Or an extractor made in Python, such as
        :class:`whitecrow.nn.extractors.ModuleExtractor` around a torch module; a detector with one cannot be saved.
        Nothing is ever downloaded.
    weights : str or None, default=None
        Path of the safetensors file with the weights of a timm architecture.
    layers : tuple of str or None, default=None
        Submodules of the architecture, or outputs of the ONNX file, that give the maps. None takes those of the
        paper, or all outputs.
    smoothing : float or None, default=None
        Standard deviation of the Gaussian that smooths maps, in pixels. None takes 1/56 of the shorter side, the 4
        pixels of 224 that the papers take.

    Attributes
    ----------
    extractor_is_random_ : bool
        Whether the network was drawn and not learnt. It stands in ``summary_``, too.
    extractor_fingerprint_ : str
        Digest of the network's weights and layers.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    # Image side over map side of the maps that the paper takes.
    reductions: ClassVar[tuple[int, ...]]
    # A block is computed whole even for one image.
    chunk_rows: ClassVar[int] = 16

    extractor: str | FeatureExtractor = "random"
    weights: str | None = None
    layers: tuple[str, ...] | None = None
    smoothing: NonNegative | None = None

    # An extractor whose weights are not among the buffers.
    _foreign: FeatureExtractor | None = None

    def _check_parameters(self) -> None:
        super()._check_parameters()
        owner, source = type(self).__name__, self.extractor
        known = source if isinstance(source, str) else ""
        kind, _, name = known.partition(":")
        if isinstance(source, str) and source != "random" and (kind not in ("timm", "onnx") or not name):
            raise ParameterError(
                f"{owner}(extractor={source!r}): accepted are 'random', 'timm:NAME', 'onnx:PATH', or an extractor made "
                "in Python."
            )
        if (kind == "timm") != (self.weights is not None):
            raise ParameterError(
                f"{owner}(extractor={source!r}, weights={self.weights!r}): weights, the path of a safetensors file, "
                "belong to 'timm:NAME', which cannot do without, and to nothing else. Without weights take 'random'."
            )
        if self.layers is not None and (kind not in ("timm", "onnx") or not self.layers):
            raise ParameterError(
                f"{owner}(extractor={source!r}, layers={self.layers!r}): layers name at least one map of 'timm:NAME' "
                "or 'onnx:PATH'. Leave them out otherwise."
            )

    # ---- the extractor --------------------------------------------------------------------------------------------

    def _begin(self, X: Tensor, seed: int) -> Networks:
        """Choose the extractor for training rows ``[N, D]``; return the buffers that lead back to it."""
        self._foreign = None
        if self.extractor == "random":
            return Networks(**RandomExtractor.drawn(to_images(X, self.spec_.shape), seed).buffers())
        if isinstance(self.extractor, FeatureExtractor):
            self._foreign = self.extractor
        else:
            path = Path(self._file)
            if not path.is_file():
                raise ParameterError(
                    f"{type(self).__name__}(extractor={self.extractor!r}): there is no file {str(path)!r}. Nothing is "
                    "downloaded: fetch the weights first, and give their path."
                )
            self._foreign = self._read(path)
        digest = bytes.fromhex(self._foreign.fingerprint)
        return Networks(fingerprint=torch.tensor(list(digest), dtype=torch.uint8, device=X.device))

    @property
    def _file(self) -> str:
        """The file that the parameters name."""
        return str(self.extractor).partition(":")[2] if self.weights is None else self.weights

    def _read(self, path: Path) -> FeatureExtractor:
        kind, _, name = str(self.extractor).partition(":")
        if kind == "onnx":
            return OnnxExtractor(path.read_bytes(), self.layers)
        return timm_extractor(name, path.read_bytes(), self.layers, self.reductions)

    def _extractor(self, net: Networks) -> FeatureExtractor:
        if self._foreign is not None:
            return self._foreign
        return RandomExtractor.from_buffers(dict(net.tensors()), self.spec_.shape)

    @property
    def extractor_is_random_(self) -> bool:
        """Whether the network was drawn and not learnt."""
        self._check_fitted()
        return self._extractor(self.replicas_.replica(0)).is_random

    @property
    def extractor_fingerprint_(self) -> str:
        """Digest of the network's weights and layers."""
        self._check_fitted()
        return self._extractor(self.replicas_.replica(0)).fingerprint

    def _complete_fit(self, prepared: Prepared) -> None:
        super()._complete_fit(prepared)
        extractor = self._extractor(self.replicas_.replica(0))
        self.summary_ |= {
            "extractor_is_random": extractor.is_random,
            "extractor_layers": ", ".join(extractor.layers)[:500],
            "extractor_fingerprint": extractor.fingerprint,
        }

    # ---- maps -----------------------------------------------------------------------------------------------------

    def _features(self, net: Networks, x: Tensor) -> list[Tensor]:
        """Return the maps ``[B, c, h, w]`` of rows ``[B, D]``, one per layer."""
        return list(self._extractor(net)(to_images(x, self.spec_.shape)).values())

    def _place(self, values: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return scores by patch ``[B, h * w]`` as smoothed maps ``[B, H, W]``."""
        sides = self.spec_.shape[1:]
        maps = interpolate(values.unflatten(1, (1, *grid)), size=sides, mode="bilinear", align_corners=False)
        sigma = min(sides) * _SMOOTHING if self.smoothing is None else self.smoothing
        return gaussian_filter(maps.squeeze(1), sigma)

    # ---- model files ----------------------------------------------------------------------------------------------

    def _extractor_layout(self) -> dict[str, Layout]:
        """Return dtype and shape of the buffers that lead back to the extractor."""
        if self.extractor == "random":
            return {**RandomExtractor.layout(self.spec_.shape)}
        return {"fingerprint": (torch.uint8, (16,))}

    def _restore_extractor(self, net: Networks) -> None:
        """Find the extractor of a loaded model, whose buffers have their layout.

        A model file cannot say which file is opened: only its name counts, in a folder that the user chose.

        Raises
        ------
        ModelFileError
            If the extractor's file is absent, cannot be read, or is another one.
        """
        owner, self._foreign = type(self).__name__, None
        if self.extractor == "random":
            if min(float(net.std_0.min()), float(net.std_1.min())) <= 0:
                refuse(owner, "a standard deviation is not positive")
            return
        wanted = bytes(net.fingerprint.tolist()).hex()
        name, folder = PureWindowsPath(self._file).name, os.environ.get(FOLDER)
        file = f"the file {name[:200]!r}, from which the model takes its features (fingerprint {wanted})"
        path = Path(folder, name) if folder and name else None
        if path is None or not path.is_file():
            raise ModelFileError(
                f"A model file does not hold {file}. Put it into a folder, and set the environment variable {FOLDER} "
                "to that folder."
            )
        try:
            found = self._read(path)
        except ParameterError as error:
            raise ModelFileError(f"{path} is not {file}: {error}") from error
        if found.fingerprint != wanted:
            raise ModelFileError(
                f"{path} is not {file}: its fingerprint is {found.fingerprint}. Fetch the one of the fit, or fit again."
            )
        self._foreign = found


def joined(maps: Sequence[Tensor], mode: Literal["nearest", "bilinear"]) -> Tensor:
    """Return maps ``[B, c, h, w]`` one after the other in the channels, enlarged to the grid of the finest."""
    grid = max((m.shape[-2:] for m in maps), key=lambda sides: sides.numel())
    corners = {"align_corners": False} if mode == "bilinear" else {}
    return torch.cat([m if m.shape[-2:] == grid else interpolate(m, size=grid, mode=mode, **corners) for m in maps], 1)


def block_rows(X: Tensor) -> int:
    """Return how many training rows ``[N, D]`` are described at a time, so that their maps fit into memory."""
    return max(1, min(64, _BLOCK_VALUES // X.shape[1]))

"""Frozen feature extractors: random networks, torch modules, architectures of timm, and ONNX files.

None of them ever opens a connection, and weights are read as data: safetensors and ONNX, never a pickle.
"""

from whitecrow.nn.extractors.extractor import FeatureExtractor, Preprocessing
from whitecrow.nn.extractors.modules import ModuleExtractor, timm_extractor
from whitecrow.nn.extractors.onnx_file import OnnxExtractor
from whitecrow.nn.extractors.random_network import RandomExtractor

__all__ = [
    "FeatureExtractor",
    "ModuleExtractor",
    "OnnxExtractor",
    "Preprocessing",
    "RandomExtractor",
    "timm_extractor",
]

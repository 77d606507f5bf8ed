"""Read a model file back into a fitted detector."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from whitecrow.core import parameters, registry
from whitecrow.core.errors import ModelFileError, ParameterError, UnknownNameError
from whitecrow.data.encoders import encoder_class
from whitecrow.io.container import damaged, opened, quoted, read_header, read_tensors
from whitecrow.io.document import Document, read_document
from whitecrow.io.saving import LOCAL
from whitecrow.io.structure import assemble, blueprint

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["load"]


def load(path: str | os.PathLike[str], *, device: str | None = None) -> "Detector":
    """Return the fitted detector of a model file, ready to score, explain and take another threshold.

    Everything is checked before it is built, and nothing in a file can run. A file from anywhere gives a
    detector whose class is installed here, or a :class:`~whitecrow.core.errors.ModelFileError`.

    Parameters
    ----------
    path : path-like
        A file that ``detector.save(path)`` wrote.
    device : str, optional
        Torch device to score on; "auto" takes the first CUDA device, else the processor. None takes what the
        detector's own parameter ``device`` says, or the processor where this machine lacks that device.

    Returns
    -------
    Detector
        Its scores are, on the same machine and device, bit for bit those of the detector that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is truncated, malformed or hostile, if a newer whitecrow wrote it, or if its detector is
        not installed.
    ParameterError
        If torch cannot use ``device``.
    """
    with opened(path) as file:
        header = read_header(file)
        document = read_document(header)
        detector = _detector(document)
        layout = {
            name.removeprefix("networks."): (place.dtype, place.shape)
            for name, place in header.tensors.items()
            if name.startswith("networks.")
        }
        net = blueprint(detector, document.spec, layout, len(document.replica_seeds))
        chosen = _device(detector, device)
        arrays = read_tensors(file, header, document.digests)
        _restore(detector, document, arrays)
        # Cloned into torch's own memory: how an array is aligned can change the last bit of a matrix product.
        tensors = {name: torch.from_numpy(arrays.pop(f"networks.{name}")).clone() for name in layout}
        detector.replicas_ = assemble(detector, net, tensors, chosen)
    return detector


def _detector(document: Document) -> "Detector":
    """Return an unfitted detector with the parameters of the file."""
    try:
        cls = registry.load(document.detector)
    except UnknownNameError as error:
        raise ModelFileError(
            f"It holds the detector {quoted(document.detector)}, which is not installed. Install the "
            f"package that provides it. Known are: {', '.join(registry.names())}."
        ) from error
    except (ImportError, AttributeError) as error:
        raise ModelFileError(
            f"It holds the detector {quoted(document.detector)}, whose package cannot be imported "
            f"({error}). Install or repair that package."
        ) from error
    fields = parameters.fields(cls)
    if unknown := sorted(set(document.parameters) - set(fields)):
        damaged(f"{cls.__name__} has no parameters {quoted(unknown)}; a newer version may have them")
    given = {}
    for name, stored in document.parameters.items():
        value = _tupled(stored)
        if name in LOCAL and value is not None:
            damaged(f"The parameter {name} names a place of another machine, and must be absent")
        given[name] = value
    detector: Detector = cls(**given)
    try:
        detector._check_parameters()
    except (ParameterError, OverflowError) as error:
        damaged(f"A parameter is out of its range: {quoted(str(error), 300)}")
    if document.spec.kind not in detector.kinds:
        damaged(f"{cls.__name__} takes {', '.join(detector.kinds)}, and not {document.spec.kind}")
    if (document.training is not None) != hasattr(cls, "networks"):
        damaged(f"The fields of training do not belong to {cls.__name__}")
    return detector


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, list) else value


def _device(detector: "Detector", device: str | None) -> torch.device:
    wanted = detector.device
    try:
        if device is not None:
            detector.device = device
        found = detector._device()
    except ParameterError:
        if device is not None:
            raise
        found = torch.device("cpu")
    finally:
        detector.device = wanted
    # Tensors of the meta device have no numbers.
    return torch.device("cpu") if found.type == "meta" else found


def _restore(detector: "Detector", document: Document, arrays: dict[str, np.ndarray]) -> None:
    """Set the fitted attributes but for the replicas."""
    statistics = {name.removeprefix("encoder."): a for name, a in arrays.items() if name.startswith("encoder.")}
    kind = document.spec.kind
    encoder = encoder_class(kind).from_state(document.encoder, statistics)
    if document.spec.shape != encoder.shape:
        damaged(f"Its encoder makes rows of the shape {encoder.shape}; spec says {document.spec.shape}")
    for name in ("calibration_scores", "fit_scores"):
        if (np.diff(arrays[name]) < 0).any():
            damaged(f"The {name} are not in order")
    detector.encoder_ = encoder
    detector.n_features_in_ = encoder.n_features_out_
    if kind == "table":
        names = [column.name for column in encoder.columns_]
        detector.n_features_in_ = len(names)
        if document.encoder["source"] == "table":
            detector.feature_names_in_ = np.asarray(names, dtype=object)
    detector.spec_ = document.spec
    detector.replica_seeds_ = document.replica_seeds
    detector.calibration_scores_ = arrays["calibration_scores"]
    detector.fit_scores_ = arrays["fit_scores"]
    detector.reference_ = arrays["reference"]
    detector.summary_ = document.summary
    detector.threshold_ = document.threshold
    detector.threshold_source_ = document.threshold_source
    if document.training is not None:
        state: Any = detector
        state.history_ = {
            name: [[float("nan") if v is None else v for v in losses] for losses in epochs]
            for name, epochs in document.training["history"].items()
        }
        state.n_epochs_ = document.training["n_epochs"]
        state.diverged_ = document.training["diverged"]

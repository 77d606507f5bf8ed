"""Write a fitted detector to a model file."""

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file

from whitecrow.core import parameters, registry
from whitecrow.core.errors import ModelFileError, ParameterError
from whitecrow.core.files import atomic_write
from whitecrow.io.container import canonical, check_values, digest, dtype_name, fault, read_header
from whitecrow.io.document import Document, read_document
from whitecrow.io.structure import DTYPE_NAMES, Layout, blueprint

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["LOCAL", "save"]

# A path of this machine means nothing elsewhere, and a fit that resumed would write to wherever a file says.
LOCAL = frozenset({"checkpoint"})


def save(detector: "Detector", path: str | os.PathLike[str]) -> None:
    """Write a fitted detector to one ``.safetensors`` file, whole or not at all.

    Up to 500 encoded training rows are among what is written; see ``docs/model-files.md``.

    Parameters
    ----------
    detector : Detector
        Fitted, and of a registered class.
    path : path-like
        File to write. An existing one is replaced.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    UnknownNameError
        If the detector's class is not registered: a file names it only through the registry.
    ParameterError
        If a parameter cannot be written, or was changed after ``fit`` so that the networks no longer follow
        from it.
    ModelFileError
        If the fitted state is not one that could be loaded, such as numbers that are not finite.
    FileNotFoundError
        If the folder does not exist.
    DataError
        If ``path`` is a folder or a device.
    """
    detector._check_fitted()
    name = registry.name_of(type(detector))
    stored = _parameters(detector)
    networks = _networks(detector)
    encoder, statistics = detector.encoder_.to_state()
    arrays = {f"networks.{key}": value for key, value in networks.items()}
    arrays |= {f"encoder.{key}": value for key, value in statistics.items()}
    arrays["calibration_scores"] = np.asarray(detector.calibration_scores_, np.float64)
    arrays["fit_scores"] = np.asarray(detector.fit_scores_, np.float64)
    arrays["reference"] = np.asarray(detector.reference_, np.float32)
    arrays = {key: np.ascontiguousarray(value) for key, value in sorted(arrays.items())}
    document = Document(
        detector=name,
        parameters=stored,
        spec=detector.spec_,
        encoder=encoder,
        threshold=float(detector.threshold_),
        threshold_source=detector.threshold_source_,
        replica_seeds=tuple(int(seed) for seed in detector.replica_seeds_),
        training=_training(detector),
        summary=_plain(detector.summary_),
        digests={key: digest(value) for key, value in arrays.items()},
    )
    try:
        for key, value in arrays.items():
            check_values(key, value)
        text = document.to_text({key: (dtype_name(value), value.shape) for key, value in arrays.items()})
        with atomic_write(path) as draft:
            save_file(arrays, draft, {"whitecrow": text})
            # What could not be read again must not replace a file that can.
            with draft.open("rb") as file:
                read_document(read_header(file))
    except ModelFileError as error:
        raise ModelFileError(
            f"This {type(detector).__name__} cannot be saved to {path}, because nobody could load it. {fault(error)} "
            "Fit it again, on other data or with other parameters."
        ) from error


def _parameters(detector: "Detector") -> dict[str, Any]:
    detector._check_parameters()
    owner = type(detector).__name__
    stored: dict[str, Any] = {}
    for field in parameters.fields(type(detector)).values():
        value = getattr(detector, field.name)
        if field.name in LOCAL or isinstance(value, np.random.RandomState):
            value = None
        try:
            stored[field.name] = _plain(value)
            canonical(stored[field.name])
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"{owner}({field.name}={value!r}) cannot be written to a model file, which keeps "
                f"numbers, texts, truth values, None and tuples of them ({error})."
            ) from error
    return stored


def _networks(detector: "Detector") -> dict[str, np.ndarray]:
    """Return the tensors ``[R, ...]`` to write, after checking that the parameters lead to them."""
    replicas = detector.replicas_
    kept = [name for name, _ in replicas.replica(0).tensors(persistent=True)]
    tensors = {name: replicas.stacked[name].detach() for name in kept}
    layout: Layout = {}
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPE_NAMES:
            raise ModelFileError(
                f"The tensor {name!r} has the dtype {tensor.dtype}; a model file keeps "
                f"{', '.join(str(dtype) for dtype in DTYPE_NAMES)}. Convert it in the detector."
            )
        layout[name] = (DTYPE_NAMES[tensor.dtype], tuple(tensor.shape))
    try:
        blueprint(detector, detector.spec_, layout, replicas.n)
    except ModelFileError as error:
        raise ParameterError(
            f"The fitted networks of this {type(detector).__name__} do not follow from its parameters. If "
            f"one was set after fit, set it back or fit again. ({fault(error)})"
        ) from error
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _training(detector: "Detector") -> dict[str, Any] | None:
    if not hasattr(detector, "history_"):
        return None
    history: dict[str, list[list[float]]] = detector.history_  # pyright: ignore[reportAttributeAccessIssue]
    return {
        # JSON has no numbers that are not finite.
        "history": {
            name: [[float(v) if math.isfinite(v) else None for v in losses] for losses in epochs]
            for name, epochs in history.items()
        },
        "n_epochs": _plain(detector.n_epochs_),  # pyright: ignore[reportAttributeAccessIssue]
        "diverged": _plain(detector.diverged_),  # pyright: ignore[reportAttributeAccessIssue]
    }


def _plain(value: Any) -> Any:
    """Return a value in JSON's own types; what has none comes back as it is."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    return value

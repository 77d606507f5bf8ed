"""The inner part of a model file: the JSON document beside the tensors, and its strict schema."""

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from typing import Any

from whitecrow.core.errors import DataError, ModelFileError
from whitecrow.core.spec import InputSpec
from whitecrow.data.encoders import KINDS, encoder_class
from whitecrow.io.container import Header, canonical, damaged, parse_json, quoted

__all__ = ["FORMAT", "Document", "read_document"]

FORMAT = 1

_ARRAYS = {"calibration_scores": ("F64", 1), "fit_scores": ("F64", 1), "reference": ("F32", 2)}
_MAX_TENSORS_IN_ALL = 100_000  # of all replicas; each becomes an object
_MAX_TEXT = 1000
_MAX_ENTRIES = 10_000  # of a parameter, and replicas: each entry is checked by itself


@dataclass(frozen=True, slots=True)
class Document:
    """What a model file says about its detector besides the tensors.

    Attributes
    ----------
    detector : str
        Registry name of the class.
    parameters : dict
        Hyperparameters in JSON's types; tuples are lists, a RandomState is None.
    spec : InputSpec
        Shape of an encoded row.
    encoder : dict
        The document of the ``to_state`` of the encoder for the spec's kind.
    threshold : float
        Scores above it are flagged.
    threshold_source : str
        What the threshold means.
    replica_seeds : tuple of int
        The seed of each replica; their number is that of the replicas.
    training : dict or None
        ``history``, ``n_epochs`` and ``diverged`` of a detector that was trained by gradients. Losses that
        were not finite are None.
    summary : dict
        Rows, seconds, regime, contamination and versions of the fit.
    digests : dict of str to str
        The digest of each tensor.
    """

    detector: str
    parameters: dict[str, Any]
    spec: InputSpec
    encoder: dict[str, Any]
    threshold: float
    threshold_source: str
    replica_seeds: tuple[int, ...]
    training: dict[str, Any] | None
    summary: dict[str, Any]
    digests: dict[str, str]

    def to_text(self, layout: dict[str, tuple[str, tuple[int, ...]]]) -> str:
        """Return the JSON text for a file whose tensors have these dtypes and shapes.

        Raises
        ------
        ModelFileError
            If a value has no place in JSON.
        """
        content = {
            "format": FORMAT,
            "detector": self.detector,
            "parameters": self.parameters,
            "spec": {"kind": self.spec.kind, "shape": list(self.spec.shape)},
            "encoder": self.encoder,
            "threshold": {"value": self.threshold, "source": self.threshold_source},
            "replica_seeds": list(self.replica_seeds),
            "training": self.training,
            "summary": self.summary,
            "digests": self.digests,
        }
        try:
            return json.dumps({**content, "checksum": _checksum(content, layout)}, allow_nan=False)
        except (TypeError, ValueError) as error:
            if isinstance(error, ModelFileError):
                raise
            damaged(f"Its document holds a value that JSON does not have ({error})")


_KEYS = {
    "format", "checksum", "detector", "parameters", "spec", "encoder", "threshold", "replica_seeds",
    "training", "summary", "digests",
}  # fmt: skip


def read_document(header: Header) -> Document:
    """Return the document of a file after every field has been checked against the schema and the tensors.

    Raises
    ------
    ModelFileError
        If a field is absent, unknown, of the wrong type or out of range, if document and tensors do not fit
        together, or if a newer whitecrow wrote the file.
    """
    content = parse_json(header.document.encode(errors="surrogatepass"), "document")
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is int and version > FORMAT:
        raise ModelFileError(
            f"It has the format {quoted(version)}, and this whitecrow reads format {FORMAT}. "
            "A newer version wrote it: upgrade with pip install --upgrade whitecrow."
        )
    if isinstance(version, str) and version.startswith("whitecrow-checkpoint"):
        raise ModelFileError("It is the checkpoint of an unfinished fit. Run the fit again to end it.")
    if not isinstance(content, dict) or type(version) is not int or version != FORMAT:
        damaged(f"Its format is {quoted(version)}, which does not exist")
    _keys(content, _KEYS, "document")
    checksum = content.pop("checksum")
    if checksum != _checksum(content, {n: (p.dtype, p.shape) for n, p in header.tensors.items()}):
        damaged("The checksum of its document does not match: it was changed")
    document = _document(content)
    _check_layout(document, header)
    return document


def _checksum(content: dict[str, Any], layout: dict[str, tuple[str, tuple[int, ...]]]) -> str:
    text = canonical([content, {name: [dtype, list(shape)] for name, (dtype, shape) in layout.items()}])
    try:
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair
        damaged("Its document holds text that is no Unicode")


def _document(content: dict[str, Any]) -> Document:
    _text(content["detector"], "the detector's name")
    _keys(content["spec"], {"kind", "shape"}, "spec")
    kind, shape = content["spec"]["kind"], content["spec"]["shape"]
    if not isinstance(kind, str) or not isinstance(shape, list) or not all(type(n) is int for n in shape):
        damaged(f"spec is {quoted(content['spec'])}")
    try:
        spec = InputSpec(kind, tuple(shape))  # pyright: ignore[reportArgumentType] - it checks the kind
    except DataError as error:
        damaged(f"spec is impossible ({error})")
    if spec.kind not in KINDS:
        damaged(f"spec is of the kind {spec.kind}, which has no encoder here")
    encoder_class(spec.kind).check_state(content["encoder"])
    _keys(content["threshold"], {"value", "source"}, "threshold")
    value, source = content["threshold"]["value"], content["threshold"]["source"]
    if type(value) not in (int, float) or not -1e308 < value < 1e308:
        damaged(f"The threshold is {quoted(value)}, and must be a finite number")
    _text(source, "the threshold's source")
    seeds = content["replica_seeds"]
    if not _is_short(seeds) or not seeds or not all(type(seed) is int for seed in seeds):
        damaged(f"replica_seeds is {quoted(seeds)}")
    if not isinstance(content["parameters"], dict):
        damaged(f"parameters is {quoted(content['parameters'])}")
    for name, given in content["parameters"].items():
        if isinstance(given, dict) or (isinstance(given, list) and not _is_short(given)):
            damaged(f"The parameter {quoted(name)} is {quoted(given)}")
    if content["training"] is not None:
        _check_training(content["training"], len(seeds))
    _check_summary(content["summary"])
    digests = content["digests"]
    if not isinstance(digests, dict) or not all(isinstance(d, str) for d in digests.values()):
        damaged(f"digests is {quoted(digests)}")
    return Document(
        detector=content["detector"],
        parameters=content["parameters"],
        spec=spec,
        encoder=content["encoder"],
        threshold=float(value),
        threshold_source=source,
        replica_seeds=tuple(seeds),
        training=content["training"],
        summary=content["summary"],
        digests=digests,
    )


def _is_short(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MAX_ENTRIES


def _check_training(training: Any, n: int) -> None:
    _keys(training, {"history", "n_epochs", "diverged"}, "training")
    for name, kind in (("n_epochs", int), ("diverged", bool)):
        values = training[name]
        if not isinstance(values, list) or len(values) != n or any(type(v) is not kind for v in values):
            damaged(f"{name} is {quoted(values)}, and must have one entry for each of the {n} replicas")
    if any(epochs < 0 for epochs in training["n_epochs"]):
        damaged(f"n_epochs is {quoted(training['n_epochs'])}")
    if not isinstance(training["history"], dict):
        damaged(f"history is {quoted(training['history'])}")
    for name, epochs in training["history"].items():
        _text(name, "the name of a loss")
        if not isinstance(epochs, list) or not all(_are_losses(losses, n) for losses in epochs):
            damaged(f"The history of {quoted(name)} is not one list per epoch with {n} losses each")


def _are_losses(losses: Any, n: int) -> bool:
    return isinstance(losses, list) and len(losses) == n and all(v is None or type(v) is float for v in losses)


def _check_summary(summary: Any, *, nested: bool = False) -> None:
    if not isinstance(summary, dict):
        damaged(f"summary is {quoted(summary)}")
    for name, value in summary.items():
        _text(name, "a name in the summary")
        if isinstance(value, str):
            _text(value, f"{quoted(name)} of the summary")
        elif isinstance(value, dict) and not nested:
            _check_summary(value, nested=True)
        elif value is not None and type(value) not in (bool, int, float):
            damaged(f"{quoted(name)} of the summary is {quoted(value)}")


def _check_layout(document: Document, header: Header) -> None:
    """Check that the tensors are those which the document speaks of."""
    tensors, n = header.tensors, len(document.replica_seeds)
    if set(document.digests) != set(tensors):
        damaged(f"Digests and tensors differ: {quoted(sorted(set(document.digests) ^ set(tensors)))}")
    for name, (dtype, rank) in _ARRAYS.items():
        if name not in tensors:
            damaged(f"It lacks the tensor {name}")
        if tensors[name].dtype != dtype or len(tensors[name].shape) != rank:
            damaged(f"The tensor {name} is {tensors[name].dtype} of shape {quoted(tensors[name].shape)}")
    if tensors["fit_scores"].shape[0] < 1:
        damaged("It holds no scores of the fit")
    if tensors["reference"].shape[1] != document.spec.n_features:
        damaged(
            f"The reference rows have {tensors['reference'].shape[1]} features; rows of the detector have "
            f"{quoted(document.spec.n_features)}"
        )
    networks = [place for name, place in tensors.items() if name.startswith("networks.")]
    if not networks or any(place.shape[:1] != (n,) for place in networks):
        damaged(f"A tensor of the networks does not have one entry for each of the {n} replicas")
    if n * len(networks) > _MAX_TENSORS_IN_ALL:
        damaged(f"It holds {n * len(networks):,} tensors; at most {_MAX_TENSORS_IN_ALL:,} are read")


def _keys(value: Any, names: set[str], where: str) -> None:
    if not isinstance(value, dict) or set(value) != names:
        differ = sorted(set(value) ^ names) if isinstance(value, dict) else value
        damaged(f"The fields of {where} are absent or unknown: {quoted(differ)}")


def _text(value: Any, what: str) -> None:
    # What a terminal takes for a command has no place in what is shown to people.
    if not isinstance(value, str) or len(value) > _MAX_TEXT or any(unicodedata.category(c) == "Cc" for c in value):
        damaged(f"{what[0].upper()}{what[1:]} is {quoted(value)}")

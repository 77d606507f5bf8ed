"""Where a fitted detector comes from, as names and values."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["model_facts"]


def model_facts(detector: "Detector", file: Path) -> dict[str, str]:
    """Return where a fitted detector comes from."""
    summary = detector.summary_
    set_by_user = {
        name: value
        for name, value in detector.get_params().items()
        if name not in ("checkpoint", "verbose", "device") and value != getattr(type(detector), name)
    }
    shape = detector.spec_.shape
    units, size = {
        "table": ("rows", f"{summary['columns']} columns, {summary['features']} features"),
        "image": ("images", f"each of {' x '.join(map(str, shape))} values (channels x height x width)"),
        "sequence": ("steps", f"windows of {shape[0]} steps of {shape[-1]} channels"),
    }[detector.spec_.kind]
    split = f"({summary['rows_trained_on']:,} to train, {summary['rows_held_out']:,} held out)"
    if detector.spec_.kind == "sequence":
        # What a fit counts as its rows to train on and to hold out are windows.
        split = split.replace(" to train", " windows to train")
    return {
        "Detector": type(detector).__name__,
        "Model file": str(file),
        "Fitted on": f"{summary['rows']:,} {units} {split}, {size}",
        f"Training {units} are": summary["regime"],
        "Changed parameters": ", ".join(f"{name} = {value!r}" for name, value in set_by_user.items()) or "none",
        "Replicas": f"{len(detector.replica_seeds_)}, seeds {', '.join(str(s) for s in detector.replica_seeds_)}",
        "Threshold": f"{detector.threshold_:.6g}: {detector.threshold_source_}",
        "Versions": ", ".join(f"{name} {number}" for name, number in summary["versions"].items()),
    }

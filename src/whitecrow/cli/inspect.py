"""``whitecrow inspect``: what is in a model file."""

from pathlib import Path

from rich.console import Group

from whitecrow.cli.console import Options
from whitecrow.cli.figures import facts, listing

__all__ = ["inspect"]

_COLUMNS = 40


def inspect(
    model: Path,
    /,
    *,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Show what is in a model file, without loading its weights.

    Parameters
    ----------
    model
        Model file.
    """
    from whitecrow.io import inspect as look_into

    with options.console() as console:
        found = look_into(model)
        summary, training = found["summary"], found["training"]
        columns = found["columns"]
        values = sum(_size(tensor["shape"]) for tensor in found["tensors"].values())
        lines = {
            "File": f"{found['file']}, {found['bytes'] / 1e6:.2f} MB",
            "Holds": f"{values:,} numbers in {len(found['tensors'])} tensors",
            "Detector": str(found["detector"]),
            "Replicas": f"{len(found['replica_seeds'])}, seeds {', '.join(str(s) for s in found['replica_seeds'])}",
            "Threshold": f"{found['threshold']['value']:.6g} ({found['threshold']['source']})",
            "Fitted on": f"{summary.get('rows', '?')} rows, {len(columns)} columns",
            "Regime": str(summary.get("regime", "?")),
            "Kept epochs": "" if training is None else ", ".join(str(n) for n in training["n_epochs"]),
            "Training rows inside": f"{found['stored_rows']['reference']} (encoded, for explanations)",
            "Versions": ", ".join(f"{k} {v}" for k, v in (summary.get("versions") or {}).items()),
        }
        shown = [(c["name"], c["kind"]) for c in columns[:_COLUMNS]]
        if len(columns) > _COLUMNS:
            shown.append((f"and {len(columns) - _COLUMNS} more", ""))
        parameters = [(name, value) for name, value in found["parameters"].items()]
        console.result(
            found,
            Group(facts(lines), listing(["Parameter", "Value"], parameters), listing(["Column", "Kind"], shown)),
        )


def _size(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size

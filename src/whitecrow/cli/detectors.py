"""``whitecrow detectors``: which there are and what they take."""

from importlib.metadata import entry_points
from typing import Any, get_args

from cyclopts import App, Parameter
from rich.console import Group
from rich.text import Text

from whitecrow.cli.console import Options
from whitecrow.cli.docstrings import parameter_texts, summary
from whitecrow.cli.figures import listing
from whitecrow.core import parameters, registry
from whitecrow.core.spec import Kind

__all__ = ["app"]

app = App(name="detectors", help="List and describe detectors.", default_parameter=Parameter(negative=()))


@app.command(name="list")
def list_detectors(
    *,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """List the detectors by name."""
    with options.console() as console:
        entries = {entry.name: entry for entry in entry_points(group=registry.GROUP)}
        kinds: dict[str, list[str]] = {}
        for kind in get_args(Kind):
            for name in registry.names(kind):
                kinds.setdefault(name, []).append(kind)
        classes = {name: entry.attr for name, entry in sorted(entries.items())}
        rows = [(name, classes[name], ", ".join(kinds[name])) for name in classes]
        document = {"detectors": [{"name": n, "class": c, "kinds": kinds[n]} for n, c, _ in rows]}
        console.result(
            document,
            listing(["Name", "Class", "For"], rows),
            Text("More on one: whitecrow detectors describe NAME", "dim"),
        )


@app.command
def describe(
    name: str,
    /,
    *,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Describe a detector and its parameters.

    Parameters
    ----------
    name
        Name of the detector.
    """
    with options.console() as console:
        cls = registry.load(name)
        texts = parameter_texts(cls)
        own = set(vars(cls).get("__annotations__", {}))
        fields = parameters.fields(cls)
        # What belongs to this method comes first; what all detectors share follows.
        ordered = sorted(fields.values(), key=lambda field: field.name not in own)
        schema = parameters.schema(cls)
        described: list[dict[str, Any]] = [
            {
                "name": field.name,
                "default": field.default,
                "accepted": parameters.describe(field.annotation),
                "meaning": texts.get(field.name, ""),
            }
            for field in ordered
        ]
        rows = [
            (
                Text(d["name"], "bold"),
                _as_set(d["default"]),
                Text.assemble(d["meaning"], (f" Must be {d['accepted']}.", "dim")),
            )
            for d in described
        ]
        document = {
            "name": name, "class": cls.__name__, "kinds": list(cls.kinds), "summary": summary(cls),
            "parameters": described, "schema": schema,
        }  # fmt: skip
        console.result(
            document,
            Group(
                Text.assemble((name, "bold"), f" ({cls.__name__}): {summary(cls)}"),
                listing(["Parameter", "Default", "Meaning"], rows),
                Text(f"Set one with: whitecrow fit FILE --detector {name} --set NAME=VALUE", "dim"),
            ),
        )


def _as_set(value: object) -> str:
    """Return a value as ``--set`` takes it."""
    if isinstance(value, tuple):
        return ",".join(str(v) for v in value)
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

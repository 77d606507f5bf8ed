"""``whitecrow detectors``: which there are and what they take."""

from typing import Any

from cyclopts import App, Parameter
from rich.console import Group
from rich.text import Text

from whitecrow.cli.console import Options
from whitecrow.cli.docstrings import parameter_texts, summary
from whitecrow.cli.figures import facts, listing
from whitecrow.core import parameters, registry

__all__ = ["app", "card"]

_TRAINING_ROWS = {
    "contaminated": "training rows of which some may be anomalous",
    "clean": "training rows that are all normal",
    "labelled": "training rows with labels",
}
_LABELS = {"no": "not used", "uses": "used where there are any", "needs": "needed"}
_COST = {
    "low": "low (a fit takes up to 3 times as long as the plain autoencoder's)",
    "medium": "medium (a fit takes 3 to 10 times as long as the plain autoencoder's)",
    "high": "high (a fit takes more than 10 times as long as the plain autoencoder's)",
}

app = App(name="detectors", help="List and describe detectors.", default_parameter=Parameter(negative=()))


@app.command(name="list")
def list_detectors(
    *,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """List the detectors by name.

    Regime is the default of that parameter: what the training rows are taken for. Labels says whether the method
    learns from known anomalies. Cost is that of a fit against the plain autoencoder's: low up to 3 times, medium up to
    10 times, high more.
    """
    with options.console() as console:
        cards = [card(name) for name in registry.names()]
        rows = [(c["name"], c["paper"], c["regime"], c["labels"], c["cost"]) for c in cards]
        console.result(
            {"detectors": cards},
            listing(["Name", "Paper", "Regime", "Labels", "Cost"], rows),
            Text("More on one: whitecrow detectors describe NAME", "dim"),
        )


@app.command
def describe(
    name: str,
    /,
    *,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Describe a detector, where it comes from, and its parameters.

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
        about = card(name)
        console.result(
            {**about, "parameters": described, "schema": schema},
            Group(
                Text.assemble((name, "bold"), f" ({cls.__name__}): {about['summary']}"),
                facts(
                    {
                        "Paper": about["paper"],
                        "For": f"{' and '.join(cls.kinds)} data, {_TRAINING_ROWS[about['regime']]}",
                        "Labels": _LABELS[about["labels"]],
                        "Cost": _COST[about["cost"]],
                    }
                ),
                listing(["Parameter", "Default", "Meaning"], rows),
                Text(f"Set one with: whitecrow fit FILE --detector {name} --set NAME=VALUE", "dim"),
            ),
        )


def card(name: str) -> dict[str, Any]:
    """Return what a listing says of a detector.

    Returns
    -------
    dict
        ``name``, ``class``, ``kinds``, ``summary``, ``paper`` (with its year), ``year``, ``regime`` (the default),
        ``labels`` ("no", "uses" or "needs") and ``cost``.
    """
    cls = registry.load(name)
    year = str(cls.year or "")
    return {
        "name": name,
        "class": cls.__name__,
        "kinds": list(cls.kinds),
        "summary": summary(cls),
        "paper": cls.paper if year in cls.paper else f"{cls.paper}, {year}".lstrip(", "),
        "year": cls.year,
        "regime": parameters.fields(cls)["regime"].default,
        "labels": "needs" if cls.needs_labels else "uses" if cls.uses_labels else "no",
        "cost": cls.cost,
    }


def _as_set(value: object) -> str:
    """Return a value as ``--set`` takes it."""
    if isinstance(value, tuple):
        return ",".join(str(v) for v in value)
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

"""Which detectors there are, and what they take."""

from typing import Any

from fastapi import APIRouter

from whitecrow.core import parameters, registry
from whitecrow.server.routes.context import Here
from whitecrow.server.schemas.records import DetectorAnswer, DetectorsAnswer

__all__ = ["router"]

router = APIRouter(prefix="/api/detectors", tags=["detectors"])
_KINDS = ("table", "sequence", "image", "tokens")


@router.get("", response_model=DetectorsAnswer, summary="List the detectors")
async def detectors(here: Here) -> dict[str, Any]:
    """Return their names and what a sample may be."""
    return await here.work.light(_listed)


@router.get("/{name}", response_model=DetectorAnswer, summary="Describe a detector")
async def detector(here: Here, name: str) -> dict[str, Any]:
    """Return where it comes from, and its parameters with defaults and bounds."""
    return await here.work.heavy(_described, name)


def _listed() -> dict[str, Any]:
    kinds: dict[str, list[str]] = {}
    for kind in _KINDS:
        for name in registry.names(kind):
            kinds.setdefault(name, []).append(kind)
    return {"detectors": [{"name": name, "kinds": kinds[name]} for name in sorted(kinds)]}


def _described(name: str) -> dict[str, Any]:
    cls = registry.load(name)
    fields = parameters.fields(cls)
    own = set(vars(cls).get("__annotations__", {}))
    return {
        "name": name,
        "kinds": list(cls.kinds),
        "paper": cls.paper,
        "year": cls.year,
        "cost": cls.cost,
        "labels": "needs" if cls.needs_labels else "uses" if cls.uses_labels else "no",
        "regime": fields["regime"].default,
        "parameters": [
            {
                "name": field.name,
                "default": field.default,
                "accepted": parameters.describe(field.annotation),
                "own": field.name in own,
            }
            for field in sorted(fields.values(), key=lambda field: field.name not in own)
        ],
        "parameter_schema": parameters.schema(cls),
    }

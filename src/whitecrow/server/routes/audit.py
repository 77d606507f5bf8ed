"""Who did what to the workspace, and when."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from whitecrow.server.routes.context import Here
from whitecrow.server.schemas.records import AuditAnswer

__all__ = ["router"]

router = APIRouter(prefix="/api/audit", tags=["audit"])


@router.get("", response_model=AuditAnswer, summary="Read the audit")
async def audit(
    here: Here,
    subject: Annotated[str | None, Query(max_length=100, description="Id of a data set or a run.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Return the last lines, the newest first."""
    found = await here.work.light(here.workspace.audit.lines, subject=subject, limit=limit)
    return {"lines": [{name: getattr(line, name) for name in line.__slots__} for line in found]}

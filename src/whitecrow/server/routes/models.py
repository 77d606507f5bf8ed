"""Models that were fitted elsewhere."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from starlette.responses import Response

from whitecrow.server.routes.context import Here
from whitecrow.server.schemas.records import RunAnswer
from whitecrow.server.uploads import receive_upload

__all__ = ["router"]

router = APIRouter(prefix="/api/models", tags=["runs"])


@router.post("", status_code=201, response_model=RunAnswer, summary="Upload a model")
async def add_model(
    here: Here,
    response: Response,
    file: Annotated[UploadFile, File(description="A .safetensors file that whitecrow wrote.")],
    name: Annotated[str, Form(max_length=200, description="For display; by default that of the detector.")] = "",
) -> dict[str, Any]:
    """Take in a model file as a run that is done, scores, and has no data set.

    The file is checked whole before anything is built of it, and nothing in it can run. One that is damaged or hostile
    is refused, and nothing of it is kept.
    """
    most = here.settings.max_body_bytes
    async with receive_upload(file, here.incoming.folder, max_bytes=most, kinds=("safetensors",)) as upload:
        record = await here.work.heavy(here.workspace.bring_in, upload.path, name=name)
    response.headers["Location"] = f"/api/runs/{record.id}"
    return record.document()

"""Data sets: upload, reading, rows."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, UploadFile
from starlette.responses import Response

from whitecrow.server.bodies import read_upload
from whitecrow.server.cells import json_rows
from whitecrow.server.errors import FieldError, RequestError
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Context, Here
from whitecrow.server.schemas.records import DatasetAnswer, DatasetsAnswer, RowsAnswer
from whitecrow.server.schemas.requests import DatasetChange, DatasetReading, parsed
from whitecrow.server.uploads import Upload, receive_upload
from whitecrow.workspace import DatasetSettings

__all__ = ["router"]

router = APIRouter(prefix="/api/datasets", tags=["data sets"])
_MOST_ROWS = 1000


@router.get("", response_model=DatasetsAnswer, summary="List the data sets")
async def datasets(here: Here) -> dict[str, Any]:
    """Return all data sets, the newest first."""
    found = await here.work.light(here.workspace.datasets.all)
    return {"datasets": [record.document() for record in found]}


@router.post("", status_code=201, response_model=DatasetAnswer, summary="Upload a table")
async def add_dataset(
    here: Here,
    response: Response,
    file: Annotated[UploadFile, File(description="CSV (gzipped or not), Parquet or Arrow; the name's ending says so.")],
    name: Annotated[str, Form(max_length=200, description="For display; by default that of the file.")] = "",
    settings: Annotated[str, Form(max_length=1 << 20, description="How columns are read, as JSON.")] = "{}",
) -> dict[str, Any]:
    """Take in a table, whole or not at all, and return its columns with what is doubtful about them, and its hash.

    The file's own name is never part of a path. What would come to more bytes, rows, columns or cells than the server
    takes is refused before it is decompressed.
    """
    reading: DatasetReading = parsed(DatasetReading, settings, "settings")
    limits = here.settings
    kinds = ("csv", "csv.gz", "parquet", "arrow")
    async with receive_upload(file, here.incoming.folder, max_bytes=limits.max_body_bytes, kinds=kinds) as upload:
        document = await here.work.heavy(_take_in, here, upload, name, reading.over(DatasetSettings()))
    response.headers["Location"] = f"/api/datasets/{document['id']}"
    return document


@router.get("/{dataset}", response_model=DatasetAnswer, summary="Describe a data set")
async def dataset(here: Here, dataset: str) -> dict[str, Any]:
    """Return its columns with what is doubtful about them, how they are read, and its hash."""
    return (await here.work.light(here.workspace.datasets.get, dataset)).document()


@router.patch("/{dataset}", response_model=DatasetAnswer, summary="Rename a data set, or read it otherwise")
async def change_dataset(here: Here, dataset: str, change: DatasetChange) -> dict[str, Any]:
    """Change what is given and leave the rest; runs keep the settings that they were fitted with."""
    if change.name is None and change.settings is None:
        raise RequestError("There is nothing to change.", [FieldError("body", "Give name, settings, or both.")])
    return await here.work.heavy(_change, here, dataset, change)


@router.delete("/{dataset}", status_code=204, summary="Delete a data set")
async def remove_dataset(here: Here, dataset: str) -> None:
    """Delete a data set that no run was fitted on."""
    await here.work.light(here.workspace.datasets.remove, dataset)


@router.get("/{dataset}/rows", response_model=RowsAnswer, summary="Read rows")
async def rows(
    here: Here,
    dataset: str,
    offset: Annotated[int, Query(ge=0, lt=1 << 40)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 100,
) -> Response:
    """Return a page of rows with all columns, in original units, as the settings read them."""
    return FiniteJSONResponse(await here.work.heavy(_rows, here, dataset, offset, limit))


def _take_in(here: Context, upload: Upload, name: str, settings: DatasetSettings) -> dict[str, Any]:
    table = read_upload(upload, here.settings)
    title = name if name.strip() else upload.label
    return here.workspace.datasets.add(table, title, settings=settings, source=f"upload of {upload.label}").document()


def _change(here: Context, key: str, change: DatasetChange) -> dict[str, Any]:
    datasets = here.workspace.datasets
    settings = None if change.settings is None else change.settings.over(datasets.get(key).settings)
    return datasets.change(key, settings=settings, name=change.name).document()


def _rows(here: Context, key: str, offset: int, limit: int) -> dict[str, Any]:
    table = here.workspace.datasets.table(key)
    page = table.slice(offset, limit)
    return {"total": table.height, "offset": offset, "columns": table.columns, "rows": json_rows(page)}

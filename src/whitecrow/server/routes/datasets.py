"""Data sets: upload, reading, rows."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, UploadFile
from starlette.responses import Response

from whitecrow.data.packed_arrays import declared_bytes, read_packed_arrays, read_packed_images
from whitecrow.server.bodies import read_upload
from whitecrow.server.cells import json_rows
from whitecrow.server.errors import BodyTooLargeError, FieldError, RequestError
from whitecrow.server.responses import FiniteJSONResponse
from whitecrow.server.routes.context import Context, Here
from whitecrow.server.schemas.records import DatasetAnswer, DatasetsAnswer, RowsAnswer
from whitecrow.server.schemas.requests import DatasetChange, DatasetReading, parsed
from whitecrow.server.uploads import Upload, UploadKind, receive_upload
from whitecrow.workspace import DatasetSettings
from whitecrow.workspace.samples import SampleKind

__all__ = ["router"]

router = APIRouter(prefix="/api/datasets", tags=["data sets"])
_MOST_ROWS = 1000
_TABLES: tuple[UploadKind, ...] = ("csv", "csv.gz", "parquet", "arrow")
_FORMS: dict[str, tuple[UploadKind, ...]] = {"table": _TABLES, "image": ("npz", "zip"), "sequence": (*_TABLES, "npz")}


@router.get("", response_model=DatasetsAnswer, summary="List the data sets")
async def datasets(here: Here) -> dict[str, Any]:
    """Return all data sets, the newest first."""
    found = await here.work.light(here.workspace.datasets.all)
    return {"datasets": [record.document() for record in found]}


@router.post("", status_code=201, response_model=DatasetAnswer, summary="Upload a table, images or series")
async def add_dataset(
    here: Here,
    response: Response,
    file: Annotated[
        UploadFile,
        File(description="CSV (gzipped or not), Parquet or Arrow; NPZ or zip for arrays. The name's ending says so."),
    ],
    name: Annotated[str, Form(max_length=200, description="For display; by default that of the file.")] = "",
    settings: Annotated[str, Form(max_length=1 << 20, description="How columns are read, as JSON.")] = "{}",
    kind: Annotated[
        SampleKind, Form(description="What the samples are: rows, images, or steps or sequences of a series.")
    ] = "table",
) -> dict[str, Any]:
    """Take in a data set, whole or not at all, and return its columns with what is doubtful about them, and its hash.

    Images are an NPZ file with an array X, `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]`, and perhaps labels y, or a
    zip archive of pictures of one size whose folders are the labels. A series is a table with a row for each step;
    sequences of one length are an NPZ file with X, `[N, T]` or `[N, T, C]`, and perhaps y.

    The file's own name is never part of a path. What would come to more bytes, rows, columns or cells than the server
    takes is refused before it is decompressed.
    """
    reading: DatasetReading = parsed(DatasetReading, settings, "settings")
    limits = here.settings
    forms = _FORMS[kind]
    async with receive_upload(file, here.incoming.folder, max_bytes=limits.max_body_bytes, kinds=forms) as upload:
        given = reading.over(DatasetSettings()) if reading.model_fields_set else None
        document = await here.work.heavy(_take_in, here, upload, name, given, kind)
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


def _take_in(
    here: Context, upload: Upload, name: str, settings: DatasetSettings | None, kind: SampleKind
) -> dict[str, Any]:
    title, source = name if name.strip() else upload.label, f"upload of {upload.label}"
    datasets = here.workspace.datasets
    if upload.kind not in ("npz", "zip"):
        table = read_upload(upload, here.settings)
        reading = settings or DatasetSettings()
        return datasets.add(table, title, settings=reading, source=source, kind=kind).document()
    most = here.settings.max_decoded_bytes
    if declared_bytes(upload.path) > most:
        raise BodyTooLargeError(
            f"The file comes to more than {most / 2**20:,.4g} MiB once it is unpacked. Send it in parts."
        )
    read = read_packed_arrays if upload.kind == "npz" else read_packed_images
    samples, labels = read(upload.path, max_bytes=most)
    if len(samples) > here.settings.max_rows:
        raise BodyTooLargeError(f"There are more than {here.settings.max_rows:,} samples. Send them in parts.")
    return datasets.add_samples(samples, title, kind, labels=labels, settings=settings, source=source).document()


def _change(here: Context, key: str, change: DatasetChange) -> dict[str, Any]:
    datasets = here.workspace.datasets
    settings = None if change.settings is None else change.settings.over(datasets.get(key).settings)
    return datasets.change(key, settings=settings, name=change.name).document()


def _rows(here: Context, key: str, offset: int, limit: int) -> dict[str, Any]:
    table = here.workspace.datasets.table(key)
    page = table.slice(offset, limit)
    return {"total": table.height, "offset": offset, "columns": table.columns, "rows": json_rows(page)}

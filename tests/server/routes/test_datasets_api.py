"""Data sets over HTTP: taken in whole or not at all."""

import gzip
import hashlib
import io
import json

import numpy as np
import polars as pl
import pytest
from tests.workspace.conftest import small_table


def upload(client, name, data, /, **fields):
    return client.post("/api/datasets", files={"file": (name, data)}, data=fields)


def parquet(table, **options) -> bytes:
    stream = io.BytesIO()
    table.write_parquet(stream, **options)
    return stream.getvalue()


def arrow(table) -> bytes:
    stream = io.BytesIO()
    table.write_ipc(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", small_table().write_csv().encode()),
        ("t.csv.gz", gzip.compress(small_table().write_csv().encode(), mtime=0)),
        ("t.parquet", parquet(small_table())),
        ("t.arrow", arrow(small_table())),
    ],
    ids=["csv", "gzip", "parquet", "arrow"],
)
def test_an_uploaded_table_is_described_and_stored_as_it_is(client, space, name, data):
    answer = upload(client, name, data, name="Flows", settings=json.dumps({"label": "label"}))
    assert answer.status_code == 201
    document = answer.json()
    assert answer.headers["location"] == f"/api/datasets/{document['id']}"
    assert (document["name"], document["rows"], document["columns"]) == ("Flows", 300, 5)
    assert document["sha256"] == hashlib.sha256(space.datasets.file(document["id"]).read_bytes()).hexdigest()
    assert document["labels"]["unlabelled_rows"] == 0
    assert [column["name"] for column in document["profile"]] == small_table().columns
    stored = space.datasets.table(document["id"])
    assert stored.cast({"at": pl.Datetime("us")}).equals(small_table().cast({"at": pl.Datetime("us")}))
    assert client.get(f"/api/datasets/{document['id']}").json() == document
    assert client.delete(f"/api/datasets/{document['id']}").status_code == 204
    assert client.get(f"/api/datasets/{document['id']}").status_code == 404


def test_columns_that_mislead_are_pointed_out(client):
    table = small_table().with_columns(same=pl.lit(1), leak=pl.col("label").eq("scan").cast(pl.Int8))
    profile = upload(client, "t.csv", table.write_csv(), settings='{"label": "label"}').json()["profile"]
    warnings = {column["name"]: " ".join(column["warnings"]) for column in profile}
    assert "constant" in warnings["same"]
    assert "leak" in warnings["leak"]
    assert warnings["size"] == ""


def test_rows_come_page_by_page_in_original_units(client, dataset):
    page = client.get(f"/api/datasets/{dataset}/rows", params={"offset": 298, "limit": 10}).json()
    assert (page["total"], page["offset"], page["columns"]) == (300, 298, small_table().columns)
    assert [row[1] for row in page["rows"]] == small_table()["size"].to_list()[298:]
    assert page["rows"][0][0] == small_table()["at"][298].isoformat()
    assert client.get(f"/api/datasets/{dataset}/rows", params={"offset": 10**9}).json()["rows"] == []


def test_cells_of_every_type_have_a_form_in_json(client, space):
    table = pl.DataFrame(
        {
            "wait": pl.Series([1_500_000, None], dtype=pl.Duration("us")),
            "price": pl.Series(["1.25", None]).cast(pl.Decimal(10, 2)),
            "raw": [b"\xff\x00", None],
            "clock": pl.Series([3_600_000_000_000, None], dtype=pl.Time),
            "nan": [float("nan"), float("inf")],
        }
    )
    key = space.datasets.add(table, "Types").id
    rows = client.get(f"/api/datasets/{key}/rows").json()["rows"]
    assert rows == [[1.5, 1.25, "ff00", "01:00:00", None], [None, None, None, None, None]]


def test_a_change_leaves_what_it_does_not_name(client, problem):
    key = upload(client, "t.csv", small_table().write_csv(), settings='{"label": "label", "ignore": ["at"]}').json()[
        "id"
    ]
    changed = client.patch(f"/api/datasets/{key}", json={"settings": {"types": {"size": "category"}}}).json()
    assert changed["settings"] == {
        "label": "label", "normal": None, "ignore": ["at"], "time": None, "types": {"size": "category"},
    }  # fmt: skip
    assert client.patch(f"/api/datasets/{key}", json={"name": "New"}).json()["name"] == "New"
    problem(client.patch(f"/api/datasets/{key}", json={"settings": {"label": "nothing"}}), 422)
    problem(client.patch(f"/api/datasets/{key}", json={}), 400)
    assert client.get(f"/api/datasets/{key}").json()["settings"]["label"] == "label"


def test_a_data_set_that_a_run_was_fitted_on_stays(client, dataset, run, problem):
    assert "Delete the runs first" in problem(client.delete(f"/api/datasets/{dataset}"), 422)["detail"]


def test_markup_in_names_and_cells_comes_back_as_data(client):
    text = "<script>alert(1)</script>"
    table = pl.DataFrame({"b": [1, 2], text: [text, "=1+1"]})
    document = upload(client, f"{text}.csv", table.write_csv(), name=text).json()
    assert document["name"] == text
    answer = client.get(f"/api/datasets/{document['id']}/rows")
    assert answer.json()["rows"][0] == [1, text]
    assert answer.json()["columns"] == ["b", text]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script" not in answer.headers["content-security-policy"]


BOMB = pl.DataFrame({"a": np.zeros(4_000_000, dtype=np.int64)})
HOSTILE = {
    "a gzip bomb": ("t.csv.gz", gzip.compress(b"a,b\n" + b"0,0\n" * 2_000_000, mtime=0), 413),
    "a Parquet bomb": ("t.parquet", parquet(pl.DataFrame({"a": ["x" * 3000] * 4000})), 413),
    "too many rows": ("t.parquet", parquet(BOMB), 413),
    "too many columns": ("t.csv", ",".join(f"c{i}" for i in range(200)) + "\n", 413),
    "a file too large": ("t.csv", b"a\n" + b"1\n" * (1 << 20), 413),
    "truncated Parquet": ("t.parquet", parquet(small_table())[:-20], 400),
    "truncated gzip": ("t.csv.gz", gzip.compress(small_table().write_csv().encode(), mtime=0)[:-20], 400),
    "text named Parquet": ("t.parquet", b"a,b\n1,2\n", 415),
    "Parquet named text": ("t.csv", parquet(small_table()), 415),
    "a program": ("t.exe", b"MZ", 415),
    "a pickle": ("t.pkl", b"\x80\x04N.", 415),
    "nothing": ("t.csv", b"", 400),
    "a ragged table": ("t.csv", b"a,b\n1,2\n1,2,3,4\n", 400),
    "nested columns": ("t.parquet", parquet(pl.DataFrame({"a": [[1]]})), 400),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_upload_is_refused_and_nothing_is_written(client, space, problem, case):
    name, data, status = HOSTILE[case]
    before = (len(space.datasets.all()), sorted(space.folder.rglob("*.parquet")))
    problem(upload(client, name, data), status)
    assert (len(space.datasets.all()), sorted(space.folder.rglob("*.parquet"))) == before
    assert list(client.app.state.context.incoming.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["../../../etc/cron.d/x.csv", "/etc/x.csv", "C:\\x\\y.csv", "..\\y.csv", "a\0b.csv"])
def test_the_name_of_a_file_is_never_a_path(client, space, name):
    before = {path.parent for path in space.folder.rglob("*")}
    answer = upload(client, name, b"a,b\n1,2\n3,4\n")
    assert answer.status_code == 201
    key = answer.json()["id"]
    assert {path.parent for path in space.folder.rglob("*")} - before == {space.folder / "datasets" / key}
    assert not set(answer.json()["name"]) & set("/\\\0")
    client.delete(f"/api/datasets/{key}")


def test_settings_that_are_no_json_are_named(client, space, problem):
    before = len(space.datasets.all())
    for wrong in ("{", '{"lable": "x"}', '{"types": {"size": "colour"}}', '["label"]', '{"label": "absent"}'):
        answer = upload(client, "t.csv", small_table().write_csv(), settings=wrong)
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"
    assert problem(upload(client, "t.csv", b"a\n1\n", settings='{"lable": 1}'), 400)["errors"][0]["field"] == (
        "settings.lable"
    )
    assert len(space.datasets.all()) == before

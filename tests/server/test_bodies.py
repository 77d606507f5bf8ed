"""Tables come in by any of the forms, equal to what was sent; everything else is refused with a reason."""

import gzip
import io
import json
import math
import struct
import zipfile
from datetime import date, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI, Request

from whitecrow.core.errors import FileFormatError, WhitecrowError
from whitecrow.server.bodies import TableBody, read_body
from whitecrow.server.errors import BodyTooLargeError, MediaTypeError, RequestError
from whitecrow.server.problems import install_problems, problem_of
from whitecrow.server.settings import Settings

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
STREAM, FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
SMALL = Settings(max_rows=100, max_columns=5, max_cells=300, max_decoded_bytes=100_000)
TABLE = pl.DataFrame(
    {
        "bytes": [1, None, -3],
        "rate": [0.1, math.pi, None],
        "flag": ["SF", 'ü,\n"x"', None],
        "inside": [True, None, False],
        "day": [date(2024, 3, 4), None, date(2026, 1, 1)],
        "at": [datetime(2024, 3, 4, 5, 6, 7), None, datetime(2026, 1, 1)],
    }
)


def read(data, kind=JSON, encoding="", settings=Settings()):  # noqa: B008 - frozen
    return read_body(data.encode() if isinstance(data, str) else data, kind, encoding, settings)


def parquet(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def arrow(table, *, file=False, compression=None):
    out = io.BytesIO()
    make = pa.ipc.new_file if file else pa.ipc.new_stream
    with make(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return out.getvalue()


def by_polars(write, **options):
    out = io.BytesIO()
    write(out, **options)
    return out.getvalue()


# ---- forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("kind", [PARQUET, "application/x-parquet", "application/octet-stream"])
def test_parquet_comes_in_as_it_was(compression, kind):
    data = parquet(TABLE.to_arrow(), compression=compression, row_group_size=2, data_page_version="2.0")
    assert read(data, kind).equals(TABLE)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_arrow_comes_in_as_it_was(compression):
    for file, kind in (
        (False, STREAM),
        (True, FILE),
        (False, "application/octet-stream"),
        (True, "application/octet-stream"),
    ):
        assert read(arrow(TABLE.to_arrow(), file=file, compression=compression), kind).equals(TABLE)


def test_what_polars_writes_comes_in_as_it_was():
    assert read(by_polars(TABLE.write_parquet), PARQUET).equals(TABLE)
    for compression in ("uncompressed", "lz4", "zstd"):
        assert read(by_polars(TABLE.write_ipc, compression=compression), FILE).equals(TABLE)
        assert read(by_polars(TABLE.write_ipc_stream, compression=compression), STREAM).equals(TABLE)
    texts = pl.Series(["a", "b"] * 50_000)
    many = pl.DataFrame(
        {"x": np.arange(100_000.0), "c": texts.cast(pl.Categorical), "e": texts.cast(pl.Enum(["b", "a"]))}
    )
    assert read(by_polars(many.write_parquet, row_group_size=7000), PARQUET).equals(many)
    assert read(by_polars(many.write_ipc), FILE).equals(many)


def test_csv_comes_in_with_its_types():
    assert read(TABLE.write_csv(), CSV).equals(TABLE)
    assert read(TABLE.write_csv(), "Text/CSV; charset=utf-8; header=present").equals(TABLE)
    assert read("name\nMüller\n".encode("latin-1"), "text/csv; charset=ISO-8859-1")["name"].to_list() == ["Müller"]


def test_json_comes_in_as_records_or_rows():
    want = pl.DataFrame({"a": [1, None], "b": [1.5, 2.0], "c": ["x", None], "d": [None, None], "e": [True, False]})
    records = [{"a": 1, "b": 1.5, "c": "x", "d": None, "e": True}, {"b": 2, "e": False}]
    rows = [[1, 1.5, "x", None, True], [None, 2, None, None, False]]
    for document in (records, {"records": records}, {"columns": list("abcde"), "rows": rows}):
        assert read(json.dumps(document)).equals(want)
    assert read('{"columns": ["a", "b"], "rows": []}').columns == ["a", "b"]
    assert read("[]").shape == (0, 0)
    assert read("\ufeff[{}, {}]").shape == (2, 0)


def test_gzip_comes_in_by_any_form():
    for data, kind in ((b'[{"a": 1}]', JSON), (b"a\n1\n", CSV), (parquet(pa.table({"a": [1]})), PARQUET)):
        for encoding in ("gzip", "GZIP", " x-gzip "):
            assert read(gzip.compress(data, mtime=0), kind, encoding)["a"].to_list() == [1]
    two = gzip.compress(b'[{"a": 1},', mtime=0) + gzip.compress(b'{"a": 2}]', mtime=0)
    assert read(two, JSON, "gzip")["a"].to_list() == [1, 2]


# ---- JSON --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("{", "line 1"),
        ("nonsense", "line 1"),
        ("7", "no table"),
        ("null", "no table"),
        ("{}", "no table"),
        ('{"records": 3}', "no list"),
        ('{"records": [], "more": 1}', "beside records"),
        ("[1]", "no object"),
        ('{"columns": ["a"], "rows": [[1, 2]]}', "does not fit"),
        ('{"columns": ["a", "a"], "rows": []}', "differ"),
        ('{"columns": [1], "rows": []}', "names"),
        ('{"columns": ["a"], "rows": 3}', "no list"),
        ('[{"a": NaN}]', "NaN"),
        ('[{"a": -Infinity}]', "Infinity"),
        ('[{"a": 1, "a": 2}]', "twice"),
        ("[" * 100_000, "nested"),
        ('{"a":' * 100_000, "nested"),
        ('[{"a": ' + "9" * 5000 + "}]", "digits"),
        ('[{"a": 1}] x', "Extra"),
    ],
)
def test_what_is_no_table_in_json_is_refused(text, says):
    with pytest.raises(RequestError, match=says) as caught:
        read(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('[{"a": 1}, {"a": {"b": 1}}]', "records[1].a"),
        ('[{"a": 1}, {"a": [1]}]', "records[1].a"),
        ('[{"a": "x"}, {}, {"a": 3}]', "records[2].a"),
        ('[{"a": true}, {"a": 1}]', "records[1].a"),
        ('[{"a": 1.5}, {"a": 1e999}]', "records[1].a"),
        ('[{"a": 1}, {"a": 9223372036854775808}]', "records[1].a"),
        ('[{"a": 1}, {"a": -9223372036854775809}]', "records[1].a"),
        ('[{"a": "\\ud800"}]', "records[0].a"),
        ('{"columns": ["p", "q"], "rows": [[1, 2], [1, []]]}', "rows[1].q"),
        ('[{"a": 1.5, "b": 0}, {"a": 1%s}]' % ("0" * 400), "records[1].a"),
    ],
)
def test_a_wrong_cell_is_named_by_record_and_field(text, field):
    with pytest.raises(RequestError) as caught:
        read(text)
    assert [one.field for one in caught.value.errors] == [field]


def test_names_that_are_no_text_are_refused_with_an_answer_that_can_be_sent():
    with pytest.raises(RequestError) as caught:
        read('[{"\\ud800": 1}]')
    assert json.loads(problem_of(caught.value).body)["status"] == 400


def test_whole_numbers_keep_all_64_bits():
    whole = [2**63 - 1, -(2**63), 2**53 + 1]
    assert read(json.dumps([{"a": one} for one in whole]))["a"].to_list() == whole


def test_a_whole_number_among_numbers_may_be_as_large_as_any_number():
    large = [2**200, -(2**63) - 1, 2**53 + 1, 1.5, None]
    assert read(json.dumps([{"a": one} for one in large]))["a"].to_list() == [2.0**200, -(2.0**63), 2.0**53, 1.5, None]


def test_not_utf8_is_refused():
    for data, kind in ((b'[{"a": "\xff"}]', JSON), (b"a\n\xff\n", CSV)):
        with pytest.raises(RequestError, match=r"(?i)utf-8"):
            read(data, kind)


@pytest.mark.parametrize(
    "document",
    [
        [{"a": 1}] * 101,
        [{f"c{k}": 1 for k in range(6)}],
        [{f"c{k}": 1} for k in range(6)],
        [{"a": 1}] * 76 + [dict.fromkeys("abcd", 1)],
        {"columns": list("abcdef"), "rows": []},
        {"columns": ["a"], "rows": [[1]] * 101},
    ],
)
def test_a_json_table_beyond_the_limits_is_refused(document):
    with pytest.raises(BodyTooLargeError):
        read(json.dumps(document), settings=SMALL)


def test_json_has_a_limit_of_bytes_of_its_own():
    with pytest.raises(BodyTooLargeError, match="Parquet"):
        read("[" + " " * 100 + "]", settings=Settings(max_json_bytes=100))


# ---- types and encodings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-pickle", "multipart/form-data", "application/jsonx", "x" * 9999]
)
def test_an_unknown_content_type_is_refused(kind):
    with pytest.raises(MediaTypeError) as caught:
        read("[]", kind)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "identity, gzip"])
def test_an_unknown_content_encoding_is_refused(encoding):
    with pytest.raises(MediaTypeError):
        read(b"[]", JSON, encoding)


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        parquet(pa.table({"a": [1]})),
        arrow(pa.table({"a": [1]}), file=True),
        zipped(X=b"0" * 1000),
        gzip.compress(b"a\n1\n", mtime=0),
        b"\x93NUMPY\x01\x00",
        b"\x89HDF\r\n\x1a\n",
        b"MATLAB 5.0 MAT-file",
        b"\0\0\0\0",
    ],
)
def test_binary_content_is_not_read_as_text(data):
    with pytest.raises(MediaTypeError):
        read(data, CSV)


@pytest.mark.parametrize(
    "data", [b"a,b\n1,2\n", b"[]", zipped(X=b"0"), b"PK\x05\x06", b"\x80\x04\x95", gzip.compress(b"x", mtime=0)]
)
@pytest.mark.parametrize("kind", [PARQUET, STREAM, FILE, "application/octet-stream"])
def test_text_and_archives_are_not_read_as_tables_of_binary_form(data, kind):
    with pytest.raises((MediaTypeError, FileFormatError)):
        read(data, kind)


def test_ragged_text_is_refused_without_a_path_of_the_server():
    with pytest.raises(FileFormatError, match="line 3") as caught:
        read("a,b\n1,2\n1,2,3\n", CSV)
    assert "body.csv" not in str(caught.value)
    assert str(caught.value).startswith("The text")


# ---- bombs -------------------------------------------------------------------------------------------------------


def test_a_gzip_bomb_is_not_inflated():
    bomb = gzip.compress(gzip.compress(bytes(20 << 20), mtime=0), mtime=0)
    with pytest.raises(BodyTooLargeError, match="unpacked"):
        read(gzip.compress(bytes(20 << 20), mtime=0), CSV, "gzip", Settings(max_body_bytes=1 << 20))
    with pytest.raises(MediaTypeError):
        read(bomb, CSV, "gzip")


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-9], lambda d: d[:5], lambda d: b"x" + d, lambda d: d[:-8] + bytes(8), lambda d: d + b"x"]
)
def test_damaged_gzip_is_refused(damage):
    with pytest.raises(RequestError):
        read(damage(gzip.compress(b'[{"a": 1}]' * 50, mtime=0)), JSON, "gzip")


@pytest.mark.parametrize(
    "text",
    ["a\n" + "1\n" * 101, ",".join("abcdef") + "\n" + "1,2,3,4,5,6\n", "a,b,c,d\n" + "1,2,3,4\n" * 76, "," * 10_000],
)
def test_text_beyond_the_limits_is_refused(text):
    with pytest.raises(BodyTooLargeError):
        read(text, CSV, settings=SMALL)


def repeated(n, width=1):
    """A table of n rows that takes no memory: every column is one value, repeated by its encoding."""
    return pa.table(
        {f"c{k}": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int8)), ["x"]) for k in range(width)}
    )


@pytest.mark.parametrize("table", [repeated(101), repeated(76, width=4), pa.table({f"c{k}": [1] for k in range(6)})])
def test_rows_columns_and_cells_are_bounded_before_they_are_read(table):
    for data, kind in ((parquet(table), PARQUET), (arrow(table), STREAM), (arrow(table, file=True), FILE)):
        with pytest.raises(BodyTooLargeError):
            read(data, kind, settings=SMALL)


def test_millions_of_rows_in_a_few_bytes_are_refused_by_their_number():
    data = parquet(repeated(3_000_000))
    assert len(data) < 10_000
    with pytest.raises(BodyTooLargeError, match="3,000,000 rows"):
        read(data, PARQUET)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "brotli"])
def test_pages_that_decompress_to_much_are_refused(compression):
    table = pa.table({"a": ["x" * 10_000] * 90})
    data = parquet(table, compression=compression, use_dictionary=False)
    assert len(data) < 3000
    with pytest.raises(BodyTooLargeError, match="decompressed"):
        read(data, PARQUET, settings=SMALL)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_arrow_buffers_that_decompress_to_much_are_refused(compression):
    data = arrow(pa.table({"a": ["x" * 10_000] * 90}), compression=compression)
    assert len(data) < 10_000
    with pytest.raises(BodyTooLargeError, match="decompressed"):
        read(data, STREAM, settings=SMALL)


def test_a_declared_length_beyond_all_memory_is_refused():
    data = bytearray(arrow(pa.table({"a": np.zeros(90)}), compression="zstd"))
    at = data.index(struct.pack("<q", 90 * 8))
    at = data.index(struct.pack("<q", 90 * 8), at + 8) if data[at + 8 : at + 12] != b"\x28\xb5\x2f\xfd" else at
    data[at : at + 8] = struct.pack("<q", 1 << 60)
    with pytest.raises(BodyTooLargeError, match="decompressed"):
        read(bytes(data), STREAM)


def test_rows_that_share_one_long_text_are_refused():
    text = pa.array(["x" * 5000])
    table = pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 90, pa.int8()), text)})
    for store in (True, False):
        with pytest.raises(BodyTooLargeError, match="texts"):
            read(parquet(table, store_schema=store), PARQUET, settings=SMALL)
    with pytest.raises(BodyTooLargeError, match="texts"):
        read(arrow(table), STREAM, settings=SMALL)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1, 2]]),
        pa.array([{"x": 1}]),
        pa.array([b"x"]),
        pa.array([[(1, 2)]], pa.map_(pa.int8(), pa.int8())),
        pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2)),
        pa.array([b"xy"], pa.binary(2)),
    ],
)
def test_nested_and_binary_columns_are_refused(column):
    table = pa.table({"a": column})
    for data, kind in ((parquet(table), PARQUET), (arrow(table), STREAM), (arrow(table, file=True), FILE)):
        with pytest.raises(RequestError, match="Column 'a'"):
            read(data, kind)


def test_run_end_encoded_columns_are_refused():
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2_000_000_000], pa.int32()), pa.array([1.0]))
    with pytest.raises(RequestError, match="nested"):
        read(arrow(pa.table({"a": runs})), STREAM)


def test_a_column_that_occurs_twice_is_refused():
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    for data, kind in ((arrow(table), STREAM), (parquet(table), PARQUET)):
        with pytest.raises(FileFormatError):
            read(data, kind)


@pytest.mark.parametrize("form", ["parquet", "stream", "file"])
def test_a_truncated_file_is_refused_wherever_it_ends(form):
    data, kind = {
        "parquet": (parquet(TABLE.to_arrow()), PARQUET),
        "stream": (arrow(TABLE.to_arrow(), compression="lz4").removesuffix(b"\xff\xff\xff\xff\0\0\0\0"), STREAM),
        "file": (arrow(TABLE.to_arrow(), file=True), FILE),
    }[form]
    for end in range(1, len(data) - 1, 29):
        try:
            got = read(data[:end], kind)
        except WhitecrowError:
            continue
        # A stream may end after its schema, as one without rows does.
        assert form == "stream"
        assert got.height == 0


@pytest.mark.parametrize("form", ["parquet", "stream", "file"])
def test_any_flipped_byte_is_an_error_of_ours_or_another_table(form, capfd):
    table = TABLE.select("bytes", "rate", "flag").to_arrow()
    data, kind = {
        "parquet": (parquet(table, compression="zstd"), PARQUET),
        "stream": (arrow(table, compression="zstd"), STREAM),
        "file": (arrow(table, file=True), FILE),
    }[form]
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.permutation(len(data))[:250]:
        damaged = bytearray(data)
        damaged[at] ^= int(rng.integers(1, 256))
        try:
            read(bytes(damaged), kind, settings=SMALL)
        except WhitecrowError:
            refused += 1
    capfd.readouterr()  # polars writes its panics to standard error
    assert refused > 50


# ---- over HTTP ---------------------------------------------------------------------------------------------------


@pytest.fixture
def app():
    app = FastAPI()
    install_problems(app)
    tables = TableBody(Settings(max_body_bytes=1 << 20, max_bytes_in_flight=1 << 20))

    @app.post("/rows")
    async def rows(request: Request):
        table = await tables.read(request)
        return {"rows": table.height, "sum": table["a"].sum()}

    return app


def test_bodies_are_read_from_requests(call, app):
    table = pl.DataFrame({"a": np.arange(5000.0)})
    for data, kind in (
        (by_polars(table.write_parquet), PARQUET),
        (table.write_csv().encode(), CSV),
        (json.dumps(table.to_dicts()).encode(), JSON),
        (b'[{"a": 12497500}]', JSON),
    ):
        answer = call(app, "POST", "/rows", content=data, headers={"Content-Type": kind})
        assert answer.json()["sum"] == 12_497_500


def test_what_is_wrong_with_a_body_is_never_a_fault_of_the_server(call, app):
    for data, kind, status in (
        (b"{", JSON, 400),
        (b'[{"a": NaN}]', JSON, 400),
        (b"x", PARQUET, 400),
        (b"x", "image/png", 415),
        (b"x" * (2 << 20), CSV, 413),
        (b"", CSV, 400),
        (b"", "", 415),
    ):
        answer = call(app, "POST", "/rows", content=data, headers={"Content-Type": kind})
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"

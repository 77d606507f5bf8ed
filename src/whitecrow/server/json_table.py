"""A table in JSON: records, or columns and rows, with every cell a number, text, truth value or null."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from whitecrow.server.errors import BodyTooLargeError, FieldError, RequestError
from whitecrow.server.settings import Settings

__all__ = ["parse_json", "read_json", "table_of"]

_SHOWN = 10  # fields named in one answer
_FORMS = 'Send {"records": [{"column": value, ...}, ...]} or {"columns": [...], "rows": [[...], ...]}.'
_INT64 = 1 << 63
_LARGEST = sys.float_info.max
_SURROGATE = "Holds half of a surrogate pair (\\ud800 to \\udfff), which is no character."


def read_json(data: bytes, settings: Settings) -> pl.DataFrame:
    """Return the table that a JSON document holds.

    A document is ``{"records": [{...}, ...]}``, a list of records alone, or ``{"columns": [...], "rows": [[...]]}``.
    Records need not have the same fields: what a record lacks is missing. A column is truth values, whole numbers
    (64 bits), numbers or text; whole numbers among numbers are numbers, any other mixture is refused.

    Raises
    ------
    RequestError
        If it is no such document; wrong cells are named, the first ten of them.
    BodyTooLargeError
        If it has more bytes, rows, columns or cells than the settings allow.
    """
    if len(data) > settings.max_json_bytes:
        raise BodyTooLargeError(
            f"The JSON has {len(data):,} bytes; at most {settings.max_json_bytes:,} are read. Send larger tables as "
            "Parquet, Arrow or CSV, or in parts."
        )
    return table_of(parse_json(data), settings)


def parse_json(data: bytes) -> Any:
    """Return a JSON document, strictly: UTF-8, no NaN or Infinity, no name twice in an object, no endless nesting.

    Raises
    ------
    RequestError
        If it is none.
    """
    try:
        # Not orjson: it takes the last of repeated names, and holds the interpreter's lock throughout.
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RequestError:
        raise
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is no JSON: byte {error.start} is not UTF-8.") from error
    except RecursionError as error:
        raise RequestError("The JSON is nested too deeply. Cells are numbers, texts, truth values or null.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError(f"The body is no JSON ({where}): {error.msg}.") from error
    except ValueError as error:  # a whole number of thousands of digits
        raise RequestError("The JSON holds a whole number of thousands of digits. Send it as text.") from error


def table_of(document: Any, settings: Settings) -> pl.DataFrame:
    """Return the table of a parsed document; see :func:`read_json`."""
    if isinstance(document, dict):
        if "records" in document:
            _refuse_others(document, ("records",))
            return _from_records(document["records"], settings)
        if "columns" in document and "rows" in document:
            _refuse_others(document, ("columns", "rows"))
            return _from_rows(document["columns"], document["rows"], settings)
    elif isinstance(document, list):
        return _from_records(document, settings)
    raise RequestError(f"The JSON holds no table. {_FORMS}")


def _refuse_others(document: dict[str, Any], known: Sequence[str]) -> None:
    if others := [name for name in document if name not in known]:
        errors = [FieldError(name[:100], "This field is unknown.") for name in others[:_SHOWN]]
        raise RequestError(f"The JSON has {len(others)} fields beside {' and '.join(known)}. {_FORMS}", errors)


def _from_records(records: Any, settings: Settings) -> pl.DataFrame:
    if not isinstance(records, list):
        raise RequestError(f"The records are no list. {_FORMS}", [FieldError("records", "Must be a list.")])
    _check_rows(len(records), settings)
    names: dict[str, None] = {}
    for i, record in enumerate(records):
        if not isinstance(record, dict):
            message = "Must be an object with a value for each column."
            raise RequestError(f"Record {i} is no object. {_FORMS}", [FieldError(f"records[{i}]", message)])
        if record.keys() != names.keys():
            names.update(dict.fromkeys(record))
            if len(names) > settings.max_columns:
                raise _too_wide(len(names), settings)
    _check_cells(len(records), len(names), settings)
    return _frame(list(names), records, "records")


def _from_rows(names: Any, rows: Any, settings: Settings) -> pl.DataFrame:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"The columns are no list of names. {_FORMS}", [FieldError("columns", "Must be names.")])
    if len(set(names)) < len(names):
        raise RequestError("Column names must differ.", [FieldError("columns", "Names a column twice.")])
    if len(names) > settings.max_columns:
        raise _too_wide(len(names), settings)
    if not isinstance(rows, list):
        raise RequestError(f"The rows are no list. {_FORMS}", [FieldError("rows", "Must be a list of lists.")])
    _check_rows(len(rows), settings)
    _check_cells(len(rows), len(names), settings)
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            message = f"Must be a list of {len(names)} values, one for each column."
            raise RequestError(f"Row {i} does not fit the columns.", [FieldError(f"rows[{i}]", message)])
    return _frame(names, [dict(zip(names, row, strict=True)) for row in rows], "rows")


def _frame(names: list[str], records: list[dict[str, Any]], root: str) -> pl.DataFrame:
    errors: list[FieldError] = []
    schema: dict[str, pl.DataType] = {}
    for name in names:
        try:
            schema[name] = _dtype(name, records, root)
        except RequestError as error:
            errors.extend(error.errors)
            if len(errors) >= _SHOWN:
                break
    if errors:
        more = "at least " * (len(errors) >= _SHOWN)
        raise RequestError(f"{more}{len(errors)} of the columns cannot be used.".capitalize(), errors)
    if not (names and records):
        return pl.DataFrame(schema=schema, height=len(records))
    # In one call: a Series for each column takes three times as long for a single row.
    return pl.from_dicts(records, schema)


def _dtype(name: str, records: list[dict[str, Any]], root: str) -> pl.DataType:
    """Return the type of a column, as which each of its values can be read."""
    if not _is_unicode(name):
        raise RequestError(_SURROGATE, [FieldError(f"{root}[0].", _SURROGATE)])
    values = [record.get(name) for record in records]
    kinds = set(map(type, values))
    kinds.discard(type(None))

    def refuse(wrong: Callable[[Any], bool], message: str) -> None:
        found = next((i for i, value in enumerate(values) if value is not None and wrong(value)), None)
        if found is not None:
            raise RequestError(message, [FieldError(f"{root}[{found}].{name[:100]}", message)])

    if kinds == {float} or kinds == {int, float}:
        refuse(lambda v: abs(v) > _LARGEST, "Is too large: numbers reach up to 1.8e308.")
        if int in kinds:  # of which polars takes none beyond 128 bits
            for record, value in zip(records, values, strict=True):
                record[name] = None if value is None else float(value)
        return pl.Float64()
    if kinds == {int}:
        message = "Is a whole number beyond 64 bits. Send it as a decimal number (1e20) or as text."
        refuse(lambda v: not -_INT64 <= v < _INT64, message)
        return pl.Int64()
    if kinds == {str}:
        refuse(lambda v: not _is_unicode(v), _SURROGATE)
        return pl.String()
    if kinds == {bool}:
        return pl.Boolean()
    if nested := kinds & {dict, list}:
        message = "Must be a number, text, truth value or null, not an object or a list."
        refuse(lambda v: type(v) in nested, message)
    if kinds:
        first = next(type(v) for v in values if v is not None)
        same = (int, float) if first in (int, float) else (first,)
        message = "Is of another kind than the values before it: a column is numbers, text or truth values throughout."
        refuse(lambda v: type(v) not in same, message)
    return pl.Null()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice, times = Counter(name for name, _ in pairs).most_common(1)[0]
        raise RequestError(
            "An object names a field twice.", [FieldError(twice[:100], f"Occurs {times} times in one object.")]
        )
    return made


def _refuse_constant(name: str) -> Any:
    raise RequestError(f"The body holds {name}, which JSON does not have. Send null for a missing value.")


def _check_rows(n: int, settings: Settings) -> None:
    if n > settings.max_rows:
        raise BodyTooLargeError(f"The table has {n:,} rows; at most {settings.max_rows:,} are taken. Send it in parts.")


def _check_cells(n_rows: int, n_columns: int, settings: Settings) -> None:
    if n_rows * n_columns > settings.max_cells:
        raise BodyTooLargeError(
            f"The table has {n_rows:,} rows of {n_columns:,} columns; at most {settings.max_cells:,} cells are taken. "
            "Send it in parts."
        )


def _too_wide(n: int, settings: Settings) -> BodyTooLargeError:
    return BodyTooLargeError(f"The table has {n:,} columns or more; at most {settings.max_columns:,} are taken.")

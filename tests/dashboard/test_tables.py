"""Rows as grids ask for them."""

import asyncio
from datetime import datetime

import numpy as np
import orjson
import polars as pl
import pytest
from fastapi import HTTPException

from whitecrow.dashboard import tables
from whitecrow.dashboard.tables import Frame, answer_rows

TABLE = pl.DataFrame(
    {
        "a.b": [3.0, 1.0, None, 2.0],
        ":onClick": ["<b>x</b>", "y" * 600, "", None],
        "at": [datetime(2026, 1, 1, 12)] * 4,
        "flag": [True, False, None, True],
    }
)


@pytest.fixture
def ask(monkeypatch):
    """Return a function that asks for rows of the table."""
    monkeypatch.setattr(tables, "_sources", {"key": Frame(TABLE)})
    return lambda key="key", **asked: orjson.loads(asyncio.run(answer_rows(key, **asked)).body)


def test_rows_come_in_order_with_names_of_ours(ask):
    answer = ask()
    assert answer["total"] == 4
    assert [row["c0"] for row in answer["rows"]] == [3.0, 1.0, None, 2.0]
    assert {name for row in answer["rows"] for name in row} == {"c0", "c1", "c2", "c3"}


def test_markup_is_text_and_long_text_is_cut(ask):
    cells = [row["c1"] for row in ask()["rows"]]
    assert cells[0] == "<b>x</b>"
    assert len(cells[1]) == 500
    assert cells[3] == ""


def test_a_block_is_a_cut_of_the_whole(ask):
    assert ask(start=1, end=3)["rows"] == ask()["rows"][1:3]
    assert ask(start=4, end=10)["rows"] == []


@pytest.mark.parametrize(("descending", "expected"), [(False, [1.0, 2.0, 3.0, None]), (True, [3.0, 2.0, 1.0, None])])
def test_missing_values_come_last_in_either_order(ask, descending, expected):
    assert [row["c0"] for row in ask(sort=0, descending=descending)["rows"]] == expected


@pytest.mark.parametrize("asked", [{"start": -1}, {"start": 5, "end": 4}, {"end": 5000}, {"sort": 4}])
def test_what_cannot_be_is_refused(ask, asked):
    with pytest.raises(HTTPException) as error:
        ask(**asked)
    assert error.value.status_code == 422


def test_a_table_that_is_closed_is_gone(ask):
    with pytest.raises(HTTPException) as error:
        ask("another")
    assert error.value.status_code == 404


def test_infinite_numbers_are_null(monkeypatch):
    monkeypatch.setattr(tables, "_sources", {"key": Frame(pl.DataFrame({"a": [np.inf, np.nan, 1.0]}))})
    body = asyncio.run(answer_rows("key")).body
    assert [row["c0"] for row in orjson.loads(body)["rows"]] == [None, None, 1.0]

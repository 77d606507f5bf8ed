"""What people and programs read: sentences, tables, JSON."""

import json
from datetime import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from guilty_columns import Distance, SquaredDistance, fit

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.explain import explain


@pytest.fixture(scope="module")
def detector(mixed_table):
    return fit(SquaredDistance, mixed_table, clip=None)


@pytest.fixture
def typical_row():
    return {
        "bytes": 25_000,
        "share": 0.5,
        "encrypted": True,
        "service": "http",
        "start": datetime(2026, 3, 2, 12, 30),
        "constant": 7.0,
    }


def explained(detector, row, **changes):
    return explain(detector, pl.DataFrame([{**row, **changes}]), method="parts")


def test_a_far_number_is_told_with_its_range(detector, typical_row):
    explanation = explained(detector, typical_row, bytes=9_812_331)
    low, high = detector.encoder_.columns_[0].low, detector.encoder_.columns_[0].high
    assert explanation.text(0) == (
        f"bytes is 9,812,331 (normally {low:,.0f} to {high:,.0f}), carries >99 % of the score"
    )


def test_two_reasons_are_told_in_their_order(detector, typical_row):
    explanation = explained(detector, typical_row, bytes=80_000, constant=12.0)
    first, second = explanation.text(0).split("; ")[:2]
    assert first.startswith("constant is 12 (normally 7), carries ")
    assert second.startswith("bytes is 80,000 (normally ")


def test_an_unseen_level_is_told(detector, typical_row):
    reasons = {r.column: r for r in explained(detector, typical_row, service="telnet").top(0, None)}
    assert reasons["service"].remark == "never seen in training"
    dns, http = (f"{share:.0%}".replace("%", " %") for share in detector.encoder_.columns_[3].shares[:2])
    assert reasons["service"].text == (f"service is 'telnet' (never seen in training; normally http {http}, dns {dns})")


def test_a_rare_level_is_told():
    # Of 151 levels the 128 most frequent have a feature of their own.
    towns = ["berlin"] * 150 + [f"town {i:03d}" for i in range(150)]
    detector = fit(Distance, pl.DataFrame({"town": towns}), calibration=0)
    explanation = detector.explain(pl.DataFrame({"town": ["town 149", "wien", "berlin", "town 050"]}))
    remarks = ["rare in training", "never seen in training", "", "<1 % of training rows"]
    assert explanation.to_frame()["remark"].to_list() == remarks


def test_a_missing_value_is_told(detector, typical_row):
    frame = explained(detector, typical_row, share=None).to_frame()
    assert frame.filter(column="share").row(0, named=True)["value"] == "missing"
    assert frame.filter(column="share").row(0, named=True)["remark"] == ""


def test_a_value_that_was_never_missing_is_told(detector, typical_row):
    with pytest.warns(WhitecrowWarning, match="bytes"):
        explanation = explain(detector, pl.DataFrame([{**typical_row, "bytes": 1}, {**typical_row, "bytes": None}]))
    assert explanation.to_frame().filter(pl.col("row") == 1, column="bytes")["remark"][0] == "never missing in training"


def test_truth_values_dates_and_shares_read_well(detector, typical_row):
    shown = {r["column"]: r for r in explained(detector, typical_row).to_frame().to_dicts()}
    assert shown["encrypted"]["value"] == "true"
    assert shown["encrypted"]["typical"].startswith("true 8")
    assert ", false 1" in shown["encrypted"]["typical"]
    assert shown["share"]["value"] == "0.5"
    assert shown["start"]["value"] == "2026-03-02T12:30:00"
    assert explained(detector, typical_row).top(0, None)[-1].text
    start = next(r for r in explained(detector, typical_row).top(0, None) if r.column == "start")
    assert start.shown == "Mon 2026-03-02 12:30"
    assert shown["constant"]["typical"] == "7"


def test_a_common_value_in_odd_company_is_told_with_what_would_fit():
    rng = np.random.default_rng(0)
    a = rng.normal(size=600)
    training = pl.DataFrame({"left": a, "right": a + 0.01 * rng.normal(size=600), "middle": rng.normal(size=600)})
    row = pl.DataFrame({"left": [1.2], "right": [-1.2], "middle": [0.0]})
    reason = {r.column: r for r in fit(Distance, training).explain(row).top(0, None)}["left"]
    assert "left is 1.2 (normally -" in reason.text
    low, high = (float(end) for end in reason.alike.split(" to "))
    assert -1.7 < low < high < -0.7
    assert reason.text.endswith(f", but {reason.alike} in similar rows)")


def test_a_common_value_that_similar_rows_have_too_is_told_to_be_usual_by_itself(detector, typical_row):
    low, high = detector.encoder_.columns_[0].low, detector.encoder_.columns_[0].high
    reasons = {r.column: r for r in explained(detector, {**typical_row, "bytes": (low + high) / 2}).top(0, None)}
    assert f"(usual by itself: normally {low:,.0f} to {high:,.0f})" in reasons["bytes"].text


def test_a_row_without_reasons_says_so(detector):
    constant = fit(Distance, np.ones((20, 3)), calibration=0)
    explanation = constant.explain(np.ones((1, 3)))
    assert explanation.top(0) == []
    assert explanation.shares.tolist() == [[0, 0, 0]]
    assert explanation.text(0).startswith("No single column explains the score")


def test_json_has_no_nan_and_every_row(detector, typical_row):
    rows = pl.DataFrame([{**typical_row, "share": float("nan")}, {**typical_row, "share": None}, typical_row])
    document = json.loads(json.dumps(explain(detector, rows, method="parts").to_dict(2), allow_nan=False))
    assert [row["values"]["share"] for row in document["rows"]] == [None, None, 0.5]
    assert document["rows"][2]["values"]["start"] == "2026-03-02T12:30:00"
    assert all(len(row["reasons"]) == 2 and len(row["neighbours"]) == 3 for row in document["rows"])
    assert document["rows"][0]["neighbours"][0]["values"].keys() == typical_row.keys()


def test_json_without_calibration_has_no_p_values(mixed_table):
    document = fit(SquaredDistance, mixed_table, calibration=0).explain(mixed_table.head(1)).to_dict()
    assert document["rows"][0]["p_value"] is None


def test_the_long_table_has_a_line_per_row_and_column(detector, mixed_table):
    explanation = explain(detector, mixed_table.head(7), method="parts")
    frame = explanation.to_frame()
    assert frame.shape == (7 * 6, 8)
    np.testing.assert_array_equal(frame["contribution"].to_numpy().reshape(7, 6), explanation.contributions)
    assert frame["column"].head(6).to_list() == mixed_table.columns
    assert len(explanation) == 7
    assert repr(explanation) == "Explanation(7 rows, 6 columns, method='parts')"


def test_arrays_have_columns_by_number():
    rng = np.random.default_rng(0)
    explanation = fit(SquaredDistance, rng.normal(size=(100, 3))).explain([[0.0, 9.0, 0.0]])
    assert explanation.columns == ("x0", "x1", "x2")
    assert explanation.top(0)[0].column == "x1"
    assert explanation.values.row(0) == (0, 9, 0)


def test_the_columns_of_a_table_are_found_by_name(detector, mixed_table):
    shuffled = mixed_table.head(3).select(reversed(mixed_table.columns)).with_columns(extra=pl.lit("ignored"))
    here, there = explain(detector, mixed_table.head(3)), explain(detector, shuffled)
    np.testing.assert_array_equal(here.contributions, there.contributions)
    assert here.values.equals(there.values)


def test_pandas_tables_are_explained_alike(detector, mixed_table):
    rows = mixed_table.head(5)
    frame = pd.DataFrame(rows.to_dict(as_series=False))
    here, there = explain(detector, rows), explain(detector, frame)
    np.testing.assert_array_equal(here.contributions, there.contributions)
    assert [here.text(i) for i in range(5)] == [there.text(i) for i in range(5)]


def test_text_that_holds_numbers_is_read_as_the_encoder_reads_it(detector, typical_row):
    texts = {**typical_row, "bytes": "9812331", "encrypted": "false", "start": "2026-03-02 12:30:00"}
    explanation = explain(detector, pl.DataFrame([texts]))
    assert explanation.values.row(0, named=True) == {
        **typical_row,
        "bytes": 9_812_331.0,
        "encrypted": False,
    }


def test_a_column_without_a_value_in_training_is_normally_missing():
    training = pl.DataFrame({"a": np.arange(50.0), "note": pl.Series([None] * 50, dtype=pl.String)})
    explanation = fit(SquaredDistance, training).explain(pl.DataFrame({"a": [3.0], "note": ["urgent"]}))
    assert explanation.typical["note"] == "missing"
    note = next(r for r in explanation.top(0, None) if r.column == "note")
    assert note.text == "note is 'urgent' (never seen in training; normally missing)"


def test_a_category_without_levels_has_no_contribution():
    training = pl.DataFrame({"a": np.arange(50.0), "c": pl.Series([None] * 50, dtype=pl.Enum([]))})
    explanation = fit(Distance, training).explain(training.head(2))
    assert explanation.contributions[:, 1].tolist() == [0, 0]
    assert explanation.text(0)

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_page import Page

from whitecrow.data import read_table
from whitecrow.page.markup import tag
from whitecrow.page.plot import Axis, label_of

EVIL = '<script>alert("x")</script>'


@pytest.fixture
def report(run, folder, tmp_path):
    out = tmp_path / "report.html"
    answer = run("evaluate", folder.test, "--model", folder.autoencoder, "--label", "label", "--report", out, "--json")
    assert answer.code == 0, answer.err
    return out.read_text("utf-8"), answer.document


def test_the_report_needs_nothing_but_itself(report):
    text, _ = report
    page = Page(text)
    assert "http" not in text.replace("http-equiv", "").replace("'http'", "").replace("http ", "")
    assert not page.named("script", "link", "img", "iframe", "object", "embed", "base", "form", "a")
    assert not re.search(r"url\(|@import|@font-face", text)
    assert not [a for _, a in page.elements if any(name.startswith("on") or name in ("src", "href") for name in a)]
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_the_report_shows_the_figures_of_the_document(report):
    text, document = report
    shown = Page(text).text
    for name in ("auroc", "average_precision", "recall", "precision"):
        figure = document["metrics"][name]
        assert f"{figure['value']:.3f}" in shown
        assert f"{figure['low']:.3f} to {figure['high']:.3f}" in shown
    assert document["threshold_source"] in shown.replace("\u00a0", " ")
    for family in document["families"]:
        assert family["family"] in shown


def test_every_picture_says_in_words_what_it_shows_and_has_its_numbers(report):
    page = Page(report[0])
    for picture in page.named("svg"):
        assert picture.get("aria-hidden") == "true" or (picture["role"] == "img" and picture["aria-label"])
    assert len(page.named("details")) == len(page.named("figure"))
    assert len(page.named("h1")) == 1
    assert page.named("html")[0]["lang"] == "en"


def test_ids_are_unique_and_labels_point_to_them(report):
    page = Page(report[0])
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["for"] for a in page.named("label")} <= set(ids)


def test_what_comes_from_the_data_is_text_and_never_markup(run, folder, tmp_path):
    rows = read_table(folder.test).select("bytes_out", "service", "duration", "label")
    evil = tmp_path / "<b>evil&.parquet"
    renamed = rows.with_columns(
        pl.col("service").cast(str).replace("https", EVIL), pl.col("label").cast(str).replace("port_scan", f"{EVIL}2")
    ).rename({"bytes_out": f"{EVIL}'\"&"})
    renamed.write_parquet(evil)
    model, out = tmp_path / "m.safetensors", tmp_path / "r.html"
    assert run("fit", evil, "--detector", "pca", "--label", "label", "-o", model, "--quiet").code == 0
    assert run("evaluate", evil, "--model", model, "--label", "label", "--report", out, "--quiet").code == 0
    text = out.read_text("utf-8")
    page = Page(text)
    assert EVIL in page.text
    assert "<script" not in text
    assert "<b>evil" not in text
    assert not page.named("script")


def test_the_report_is_written_whole_or_not_at_all(run, folder, tmp_path, monkeypatch):
    import whitecrow.cli.report as package

    def broken(page):
        raise MemoryError

    monkeypatch.setattr(package, "render", broken)
    out = tmp_path / "r.html"
    out.write_text("old")
    answer = run("evaluate", folder.test, "--model", folder.pca, "--label", "label", "--report", out)
    assert answer.code == 1
    assert "not enough memory" in answer.err
    assert out.read_text() == "old"


@settings(deadline=None, max_examples=100)
@given(st.text(), st.text())
def test_any_text_survives_markup_as_text(text, value):
    page = Page(tag("p", text, title=value))
    assert page.elements[0][0] == "p"
    assert len(page.elements) == 1


@settings(deadline=None, max_examples=200)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.booleans())
def test_ticks_lie_on_the_axis_rise_and_are_few(low, span, logarithmic):
    low = abs(low) + 1e-3 if logarithmic else low
    axis = Axis(low, low + span, "x", logarithmic)
    ticks = np.array(axis.ticks())
    assert len(ticks) <= 12
    slack = 1e-6 * max(abs(low), span)
    assert ((ticks >= low - slack) & (ticks <= low + span + slack)).all()
    assert (np.diff(ticks) > 0).all()
    assert len({label_of(tick) for tick in ticks}) >= 1


def test_places_on_an_axis():
    assert Axis(0, 10, "x").at([0, 2.5, 10, 99]).tolist() == [0, 0.25, 1, 1]
    assert Axis(1, 100, "x", True).at([1, 10, 100]) == pytest.approx([0, 0.5, 1])

"""A published table is listed, run once, shown beside ours, and written."""

import pytest

from whitecrow.study import reproduce
from whitecrow.study.published.tables import PublishedFigure, Table, table_names
from whitecrow.study.store import Store


@pytest.fixture
def small_table(monkeypatch):
    """Put a table on data that scikit-learn ships in place of the published ones."""
    study = {"name": "one", "data": ["breast-cancer", "thyroid"], "detectors": ["pca", "isolation-forest"], "seeds": 3}
    theirs = [
        PublishedFigure(method=method, dataset="breast-cancer", figure="auroc", value=value, source="A paper, table 2",
                        evidence="paper", ours=ours, caveat="On other rows.")
        for method, value, ours in (("PCA", 0.5, ("pca",)), ("seq2seq", 0.8, ()))
    ]  # fmt: skip
    table = Table(
        name="small", title="A small table", source="A paper", figures=("auroc",), differences=("Much.",),
        studies=(study,), quick={"seeds": 2, "options": {"max_rows": 300}}, published=tuple(theirs),
    )  # fmt: skip
    monkeypatch.setattr(reproduce, "load_table", lambda name: table)


def test_the_list_names_every_table_and_the_data_it_lacks(run, tmp_path):
    tables = run("reproduce", "list", "--data", tmp_path, "--json").document["tables"]
    assert [table["name"] for table in tables] == table_names()
    absent = {table["name"]: table["absent"] for table in tables}
    assert absent["dagmm"] == ["kddcup99-10", "kdd-rev", "thyroid", "arrhythmia"]
    assert absent["deepad"] == ["kddcup99-10", "deepad"]
    shown = run("reproduce", "list", "--data", tmp_path).out
    assert all(name in shown for name in table_names())


@pytest.mark.usefixtures("preloaded")
def test_a_table_is_run_once_and_shown_beside_the_published_one(run, small_table, tmp_path):
    words = ["reproduce", "small", "--data", tmp_path, "--store", tmp_path / "store", "--jobs", "1"]
    answer = run(*words, "--quick", "--json", "--markdown", tmp_path / "table.md")
    assert answer.code == 0
    document = answer.document
    assert document["quick"] is True
    assert document["quick_caps"]["options"] == {"max_rows": 300}
    assert document["missing"] == ["thyroid"]
    pca, forest, absent = document["rows"]
    assert (pca["method"], pca["source"], pca["evidence"]) == ("PCA", "A paper, table 2", "paper")
    assert pca["difference"] == pytest.approx(pca["ours"] - 0.5)
    assert (pca["verdict"], pca["seeds"], pca["planned"]) == ("above", 2, 2)
    assert pca["n_train"] + pca["n_test"] < 300
    assert (forest["detector"], forest["published"]) == ("isolation-forest", None)
    assert (absent["detector"], absent["ours"], absent["published"]) == ("", None, 0.8)
    cells = Store(tmp_path / "store").cells("small-one-quick")
    assert pca["ours"] == pytest.approx(cells.filter(detector="pca")["auroc"].mean())
    assert (tmp_path / "table.md").read_text().startswith("# A small table, QUICK")

    again = run(*words, "--quick", "--json").document
    assert again["rows"] == document["rows"]
    assert Store(tmp_path / "store").cells("small-one-quick").equals(cells)

    shown = run(*words, "--quick", "--stored").out
    assert "A small table, QUICK" in shown
    assert "[1] A paper, table 2" in shown
    full = run(*words, "--stored", "--json").document
    assert {row["seeds"] for row in full["rows"]} == {0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "dagmm-contaminated"),
        (["dagmm", "--published", "any.csv"], "comes with its published figures"),
        (["dagmm", "--figure", "auroc"], "comes with its published figures"),
        (["dagmm", "--markdown", "table.txt"], ".md"),
    ],
)
def test_wrong_use_is_2_and_leaves_no_file(run, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    answer = run("reproduce", *words, "--data", tmp_path)
    assert answer.code == 2
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []


def test_without_data_the_way_to_get_it_is_told(run, tmp_path):
    answer = run("reproduce", "alad", "--data", tmp_path, "--store", tmp_path / "store")
    assert answer.code == 1
    assert "whitecrow data fetch NAME, for arrhythmia, kddcup99-10" in answer.err
    assert not (tmp_path / "store").exists()


def test_what_is_stored_is_asked_of_a_store_that_is_there(run, small_table, tmp_path):
    answer = run("reproduce", "small", "--stored", "--data", tmp_path, "--store", tmp_path / "store")
    assert answer.code == 1
    assert "holds no results" in answer.err

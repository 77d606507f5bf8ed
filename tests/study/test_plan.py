"""A study says before it starts what is wrong with it."""

import json

import numpy as np
import polars as pl
import pytest

from whitecrow.core.errors import FileFormatError, ParameterError, UnknownNameError
from whitecrow.study import plan
from whitecrow.study.leaks import LeakError
from whitecrow.study.plan import Cell, Study, load_study
from whitecrow.study.sources import Rows, load_rows

TOML = """
data = ["digits", {name = "breast-cancer", seeds = 2, distinct = true, options = {max_rows = 100}}]
detectors = ["knn", {name = "pca", label = "pca-2", parameters = {n_components = 2}}]
protocol = "robustness"
contamination = [0.0, 0.05]
seeds = 3
budget = {seconds = 60}
"""


def small(**given):
    return Study.of({"name": "s", "data": ["digits"], "detectors": ["knn"], **given})


def test_a_toml_file_becomes_cells(tmp_path):
    file = tmp_path / "robust.toml"
    file.write_text(TOML)
    study = load_study(file)
    assert study.name == "robust"
    assert study.budget.seconds == 60
    assert len(study.cells) == 2 * 2 * 3 + 2 * 2 * 2
    assert study.cells[-1].coordinates == ("breast-cancer", "pca-2", "clean", 0.05, 1)
    assert study.cells[-1].options["max_rows"] == 100
    assert study.cells[0].options["max_rows"] is None


def test_yaml_says_the_same(tmp_path):
    yaml = pytest.importorskip("yaml", reason="the extra yaml is not installed")
    (tmp_path / "s.toml").write_text(TOML)
    study = load_study(tmp_path / "s.toml")
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(study.document()))))
    assert load_study(tmp_path / "s.yaml").cells == study.cells


def test_documents_come_back_as_they_were():
    study = small(contamination=[0, 0.1], budget={"memory_mb": 500})
    assert Study.of(json.loads(json.dumps(study.document()))) == study
    for cell in study.cells:
        assert Cell.of(json.loads(json.dumps(cell.document()))) == cell


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"data": []}, ParameterError, "data is empty"),
        ({"data": "digits"}, ParameterError, r"Write data = \[...\]"),
        ({"detector": ["knn"]}, ParameterError, "Did you mean detectors"),
        ({"detectors": ["knnn"]}, UnknownNameError, "knn"),
        ({"detectors": ["knn", "knn"]}, ParameterError, "named twice"),
        ({"detectors": [{"name": "knn", "parameters": {"n_neighbour": 3}}]}, ParameterError, "Did you mean n_neigh"),
        ({"detectors": [{"name": "knn", "parameters": {"n_neighbours": 0}}]}, ParameterError, "n_neighbours"),
        ({"detectors": [{"name": "knn", "parameters": {"random_state": 0}}]}, ParameterError, "study itself sets"),
        ({"detectors": ["classifier"]}, ParameterError, "semi-supervised"),
        ({"protocol": "hause"}, UnknownNameError, "house"),
        ({"options": {"holdut": 0.2}}, ParameterError, "holdout"),
        ({"contamination": [0.0, 1.5]}, ParameterError, "contamination"),
        ({"contamination": [0.1, 0.1]}, ParameterError, "named twice"),
        ({"regimes": ["labelled"]}, ParameterError, "clean, contaminated"),
        ({"seeds": 0}, ParameterError, "seeds"),
        ({"figures": ["f1"]}, LeakError | ParameterError, "f1_at_known_ratio"),
        ({"budget": {"seconds": -1}}, ParameterError, "seconds"),
        ({"data": [{"name": "x", "file": "x.csv"}]}, ParameterError, "file and label"),
        ({"data": [{"file": "x.csv", "label": "y"}]}, ParameterError, "lacks name"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(given, error, message):
    kinds = getattr(error, "__args__", error)
    with pytest.raises(kinds, match=message):
        small(**given)


def test_a_threshold_from_test_labels_is_refused():
    with pytest.raises(LeakError, match="test"):
        small(threshold="best-f1")


def test_files_that_are_no_study_are_refused(tmp_path):
    for name, text in (("a.toml", "data = ["), ("a.json", "{}"), ("a.yaml", "- [")):
        (tmp_path / name).write_text(text)
        if name.endswith("yaml"):
            pytest.importorskip("yaml", reason="the extra yaml is not installed")
        with pytest.raises(FileFormatError, match=name):
            load_study(tmp_path / name)


def test_the_key_follows_everything_that_the_result_depends_on():
    base = small().cells[0].key("rows")
    assert small().cells[0].key("rows") == base
    assert small(description="other words", figures=["auroc"]).cells[0].key("rows") == base
    others = [
        small(protocol="goad"), small(options={"holdout": 0.2}), small(contamination=[0.1]),
        small(regimes=["contaminated"]),
        small(detectors=[{"name": "knn", "parameters": {"n_neighbours": 7}}]), small(detectors=["pca"]),
        small(detectors=[{"name": "knn", "max_train": 50}]), small(threshold="peaks-over-threshold"),
    ]  # fmt: skip
    keys = {base, small().cells[0].key("other rows"), small().cells[1].key("rows")}
    keys |= {study.cells[0].key("rows") for study in others}
    assert len(keys) == 3 + len(others)


def test_the_recipe_of_a_key_and_of_a_fingerprint_stays_what_it_was(monkeypatch):
    """Stores of finished studies are found by them: a change here throws their results away."""
    monkeypatch.setattr(plan, "code_version", lambda detector: "code")
    cell = small(
        data=[{"name": "digits", "options": {"max_rows": 100}}],
        detectors=[{"name": "knn", "parameters": {"n_neighbours": 7}, "max_train": 50}],
        contamination=[0.05],
    ).cells[1]
    assert cell.key("rows") == "9e5271da40dcee6be55ec3583ff64170"
    y, names = np.array([0, 0, 1, 0], dtype=np.int8), np.array(["n", "n", "a", "n"])
    assert Rows(np.arange(12.0).reshape(4, 3), y, None).fingerprint == "20c46196ce0576924511d13d99dc8588"
    table = pl.DataFrame({"a": [1.5, None, 2.0, 3.0], "b": ["x", "y", None, "x"], "c": [True, False, True, None]})
    assert Rows(table, y, names).fingerprint == "bea7e09cd3513eeb6bdcfca30a37bac9"


def test_what_a_data_set_is_called_does_not_move_its_keys():
    named = small(data=[{"name": "digits", "alias": "eights and nines"}])
    assert named.cells[0].coordinates[0] == "eights and nines"
    assert named.cells[0].key("rows") == small().cells[0].key("rows")


def test_a_labelled_file_is_read_without_its_label(make_study):
    study = make_study()
    rows = load_rows(study.data[0])
    assert rows.X.columns == ["a", "b", "c", "d"]
    assert rows.y.sum() == 60
    assert set(rows.families) == {"normal", "far", "wide"}


def test_the_fingerprint_follows_the_content(make_study, tmp_path):
    study = make_study()
    first = load_rows(study.data[0]).fingerprint
    assert load_rows(study.data[0]).fingerprint == first
    lines = make_study.file.read_text().splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    make_study.file.write_text("\n".join(lines) + "\n")
    assert load_rows(study.data[0]).fingerprint != first


def test_distinct_rows_leave_out_copies_alone(make_study):
    text = make_study.file.read_text().splitlines()
    make_study.file.write_text("\n".join([*text, *text[1:21]]) + "\n")
    document = {"name": "rows", "file": str(make_study.file), "label": "kind"}
    whole, distinct = make_study(data=[document]), make_study(data=[{**document, "distinct": True}])
    assert len(load_rows(whole.data[0]).y) == 480
    assert len(load_rows(distinct.data[0]).y) == 460


def test_rows_without_a_label_are_refused(make_study):
    make_study.file.write_text(make_study.file.read_text() + "1,2,3,4,\n")
    with pytest.raises(ValueError, match="1 of 461 rows"):
        load_rows(make_study().data[0])

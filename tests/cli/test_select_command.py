import polars as pl
import pytest

from whitecrow.data import read_table

FEW = ("--detectors", "pca", "knn", "--repetitions", "2", "--rows", "300")


def test_the_document_holds_the_comparison_and_the_command_to_go_on_with(run, folder):
    answer = run("select", folder.train, "--label", "label", *FEW, "--json")
    assert answer.code == 0, answer.err
    found = answer.document
    assert {c["detector"] for c in found["candidates"]} == {"pca", "knn"}
    assert found["recommended"] in ("pca", "knn")
    assert (found["n_rows"], found["n_compared"], found["n_repetitions"]) == (1500, 300, 2)
    assert found["left_out_columns"] == ["label"]
    assert set(found["evidence"]) == {"found", "p", "n_apart", "n"}
    expected = f"whitecrow fit {folder.train} --detector {found['recommended']} --label label -o model.safetensors"
    assert found["command"] == expected


def test_the_command_that_is_shown_fits(run, folder, tmp_path):
    answer = run("select", folder.train, "--label", "label", *FEW)
    assert answer.code == 0, answer.err
    shown = answer.out.splitlines()[-1].split()
    assert shown[:2] == ["whitecrow", "fit"]
    assert run(*shown[1:-1], tmp_path / "model.safetensors").code == 0


def test_the_answer_is_in_plain_words(run, folder):
    said = " ".join(run("select", folder.train, "--label", "label", *FEW).out.split())
    for words in ("Recommended", "recommended", "Anomalies", "dependency", "stability", "consensus", "Without labels"):
        assert words in said


def test_labels_are_never_read(run, folder, tmp_path):
    rows = read_table(folder.train)
    other = tmp_path / "train.csv"
    rows.with_columns(label=pl.lit("normal")).write_csv(other)
    first, second = (run("select", path, "--label", "label", *FEW, "--json").document for path in (folder.train, other))
    for a, b in zip(first["candidates"], second["candidates"], strict=True):
        assert a["repetitions"] == b["repetitions"]
    assert first["evidence"] == second["evidence"]


def test_a_spent_budget_is_noted(run, folder):
    answer = run("select", folder.train, "--label", "label", *FEW, "--budget", "1e-9", "--json")
    assert answer.code == 0
    said = " ".join(answer.document["warnings"])
    assert "knn was left out. The budget was spent before its turn." in said
    assert "after 1 of 2 repetitions" in said


@pytest.mark.parametrize(
    "words",
    [
        ["--detectors", "pcaa"],
        ["--detectors", "devnet"],
        ["--repetitions", "0"],
        ["--rows", "3"],
        ["--budget", "-1"],
        ["--label", "lable"],
        ["--ignore", "nothing"],
    ],
)
def test_wrong_use_is_2(run, folder, words):
    answer = run("select", folder.train, *words)
    assert answer.code == 2
    assert answer.err.startswith("Error: ")


def test_leaving_out_every_column_is_refused(run, tmp_path):
    path = tmp_path / "one.csv"
    pl.DataFrame({"a": range(100)}).write_csv(path)
    answer = run("select", path, "--label", "a")
    assert answer.code == 2
    assert "no column" in answer.err

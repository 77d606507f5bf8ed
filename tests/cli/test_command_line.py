import os
import subprocess
import sys

import polars as pl
import pytest

IMPORTS = """
import sys
from whitecrow.cli import main
code = main({words!r})
heavy = [name for name in ("torch", "sklearn", "polars", "numpy") if name in sys.modules]
print("heavy:", heavy, "code:", code)
"""


@pytest.mark.parametrize(
    "words",
    [[*words, "--help"] for words in ([], ["fit"], ["data"], ["detectors"], ["study"], ["reproduce"], ["select"])]
    + [["--version"]],
)
def test_help_imports_nothing_heavy(words):
    said = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(words=words)], capture_output=True, text=True, check=True
    ).stdout
    assert said.splitlines()[-1] == "heavy: [] code: 0"


def test_help_answers_within_half_a_cpu_second():
    # The fastest of three: other work on the machine can only slow a run down.
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "whitecrow.cli", "--help"], capture_output=True, check=True)
        after = os.times()
        seconds.append(after.children_user - before.children_user + after.children_system - before.children_system)
    assert min(seconds) < 0.5


def test_help_names_every_command(run):
    said = run("--help").out
    commands = "demo data detectors fit score explain evaluate inspect select study reproduce"
    for command in commands.split():
        assert f" {command} " in said


@pytest.mark.parametrize(
    "words",
    [
        ["fti"],
        ["fit"],
        ["fit", "{train}", "--detector", "pca"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--bogus", "1"],
        ["fit", "{train}", "--detector", "autoencodr", "-o", "{out}"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--set", "n_componets=3"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--set", "clip=-3"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--set", "clip"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--set", "random_state=3"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--contamination", "0.9"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--contamination", "much"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--replicas", "3"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--regime", "dirty"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--regime", "labelled"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--label", "lable"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--ignore", "nothing"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}", "--normal", "normal"],
        ["score", "{test}", "--model", "{pca}", "-o", "{out}.docx"],
        ["score", "{test}", "--model", "{pca}", "-o", "{test}"],
        ["explain", "{test}", "--model", "{pca}", "--top", "0"],
        ["evaluate", "{test}", "--model", "{pca}", "--label", "label", "--normal", "norml"],
        ["evaluate", "{test}", "--model", "{pca}", "--label", "label", "--cost-miss", "-1"],
        ["evaluate", "{test}", "--model", "{pca}", "--label", "label", "--report", "{out}.pdf"],
        ["data", "simulate", "--rows", "0", "-o", "{out}.csv"],
        ["data", "fetch", "nothing"],
        ["detectors", "describe", "nothing"],
    ],
)
def test_wrong_use_is_2_with_one_paragraph_and_leaves_no_file(run, folder, tmp_path, words):
    places = {**{name: str(path) for name, path in folder._asdict().items()}, "out": str(tmp_path / "out")}
    answer = run(*(word.format(**places) for word in words))
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "absent.csv", "--detector", "pca", "-o", "{out}"],
        ["fit", "{train}", "--detector", "pca", "-o", "{out}/absent/model"],
        ["score", "{test}", "--model", "absent", "-o", "{out}.csv"],
        ["score", "{test}", "--model", "{train}", "-o", "{out}.csv"],
        ["score", "{pca}", "--model", "{pca}", "-o", "{out}.csv"],
        ["inspect", "{train}"],
        ["data", "fetch", "deepad"],
        ["data", "describe", "absent.csv"],
        ["demo", "--out", "{train}"],
    ],
)
def test_failure_is_1_with_one_paragraph_and_leaves_no_file(run, folder, tmp_path, monkeypatch, words):
    monkeypatch.delenv("WHITECROW_DATA", raising=False)
    places = {**{name: str(path) for name, path in folder._asdict().items()}, "out": str(tmp_path / "out")}
    answer = run(*(word.format(**places) for word in words))
    assert answer.code == 1
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(run):
    answer = run("inspect", "absent", "--debug")
    assert answer.code == 1
    assert "Traceback" in answer.err


def test_an_error_is_a_document_under_json(run):
    answer = run("inspect", "absent", "--json")
    assert answer.code == 1
    assert "absent does not exist" in answer.document["error"]["message"]


@pytest.mark.parametrize(
    "words",
    [
        ["data", "list"],
        ["data", "simulate", "--rows", "50", "-o", "{out}.csv"],
        ["data", "describe", "{train}", "--label", "label"],
        ["data", "fetch", "digits"],
        ["detectors", "list"],
        ["detectors", "describe", "autoencoder"],
        ["fit", "{train}", "--detector", "pca", "--label", "label", "-o", "{out}.safetensors"],
        ["score", "{test}", "--model", "{pca}", "-o", "{out}.parquet"],
        ["explain", "{test}", "--model", "{autoencoder}", "--top", "2"],
        ["evaluate", "{test}", "--model", "{autoencoder}", "--label", "label", "--report", "{out}.html"],
        ["inspect", "{autoencoder}"],
    ],
)
def test_every_command_gives_one_json_document_and_nothing_else(run, folder, tmp_path, words):
    places = {**{name: str(path) for name, path in folder._asdict().items()}, "out": str(tmp_path / "out")}
    answer = run(*(word.format(**places) for word in words), "--json")
    assert answer.code == 0, answer.err
    assert isinstance(answer.document["warnings"], list)


def test_quiet_says_nothing_of_what_was_written(run, folder, tmp_path):
    answer = run("score", folder.test, "--model", folder.pca, "-o", tmp_path / "s.csv", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_quiet_still_shows_what_was_asked_for(run, folder):
    assert "autoencoder" in run("inspect", folder.autoencoder, "--quiet").out


def test_a_reader_that_stops_early_causes_no_traceback():
    command = f"{sys.executable} -m whitecrow.cli data list | head -n 1"
    said = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in said.stderr
    assert "BrokenPipe" not in said.stderr


@pytest.mark.parametrize("width", ["80", "120"])
def test_lines_fit_the_terminal_and_carry_no_colour_where_none_is_wanted(run, folder, monkeypatch, width):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    answer = run("evaluate", folder.test, "--model", folder.pca, "--label", "label")
    assert "\x1b" not in answer.out
    assert max(len(line) for line in answer.out.splitlines()) <= int(width)


def test_nothing_that_a_terminal_takes_for_a_command_comes_from_the_data(run, tmp_path):
    path = tmp_path / "evil.parquet"
    evil = "\x1b[31mred\x1b]0;owned\x07"
    pl.DataFrame({"n": range(5), f"text{evil}": [evil] * 5}).write_parquet(path)
    answer = run("data", "describe", path)
    assert answer.code == 0
    assert "red" in answer.out
    assert "\x1b" not in answer.out
    assert "\x07" not in answer.out
    document = run("data", "describe", path, "--json")
    assert "\x1b" not in document.out
    assert document.document["columns"][1]["name"] == f"text{evil}"

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from whitecrow.cli import score as score_module
from whitecrow.cli.streaming import scored_batches, table_batches
from whitecrow.data import read_table
from whitecrow.io import load

PEAK = """
import resource, sys
from whitecrow.cli import main
code = main(sys.argv[1:])
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("name", ["s.parquet", "s.csv", "s.csv.gz", "s.jsonl"])
def test_scores_are_those_of_the_detector_beside_the_columns_of_the_file(run, folder, tmp_path, name):
    out = tmp_path / name
    assert run("score", folder.test, "--model", folder.autoencoder, "-o", out).code == 0
    given = read_table(folder.test)
    found = pl.read_ndjson(out) if name.endswith("jsonl") else read_table(out)
    assert found.columns == [*given.columns, "score", "p_value", "is_anomaly"]
    detector = load(folder.autoencoder)
    assert np.allclose(found["score"], detector.anomaly_score(given), rtol=1e-12)
    assert np.allclose(found["p_value"], detector.p_value(given), rtol=1e-12)
    assert np.array_equal(found["is_anomaly"], detector.is_anomaly(given))
    assert found["bytes_out"].to_list() == given["bytes_out"].to_list()
    assert found["service"].cast(str).to_list() == given["service"].cast(str).to_list()


def test_scores_do_not_depend_on_the_batches(folder):
    detector = load(folder.pca)
    whole, pieces = (
        np.concatenate([b.scores for b in scored_batches(folder.train, detector, batch_rows=n)]) for n in (5000, 97)
    )
    assert np.array_equal(whole, pieces)


def test_a_category_stays_text_where_all_its_values_are_numbers(run, tmp_path):
    train, later, out = (tmp_path / name for name in ("train.csv", "later.csv", "scores.csv"))
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=80)
    train.write_text("n,port\n" + "".join(f"{v},{p}\n" for v, p in zip(numbers, ["007", "http"] * 40, strict=True)))
    later.write_text("n,port\n" + "".join(f"{v},007\n" for v in numbers[:10]))
    assert run("fit", train, "--detector", "pca", "-o", tmp_path / "m").code == 0
    assert run("score", later, "--model", tmp_path / "m", "-o", out).code == 0
    assert out.read_text().splitlines()[1].split(",")[1] == "007"
    mixed = pl.DataFrame({"n": numbers[:10], "port": ["007"] * 10})
    assert np.allclose(read_table(out)["score"], load(tmp_path / "m").anomaly_score(mixed), rtol=1e-12)


def test_a_file_without_rows_gives_a_file_without_rows(run, folder, tmp_path):
    empty = tmp_path / "empty.parquet"
    read_table(folder.test).head(0).write_parquet(empty)
    answer = run("score", empty, "--model", folder.pca, "-o", tmp_path / "s.parquet")
    assert answer.code == 0, answer.err
    assert read_table(tmp_path / "s.parquet").shape == (0, 32)


def test_a_column_of_the_same_name_is_refused_and_a_prefix_helps(run, folder, tmp_path):
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    assert run("score", folder.test, "--model", folder.pca, "-o", first).code == 0
    answer = run("score", first, "--model", folder.autoencoder, "-o", second)
    assert answer.code == 2
    assert "--prefix" in answer.err
    assert not second.exists()
    assert run("score", first, "--model", folder.autoencoder, "-o", second, "--prefix", "ae_").code == 0
    assert read_table(second).columns[-6:] == [
        "score",
        "p_value",
        "is_anomaly",
        "ae_score",
        "ae_p_value",
        "ae_is_anomaly",
    ]


def test_without_held_out_rows_p_values_are_empty_and_a_note_says_so(run, folder, tmp_path):
    model, out = tmp_path / "m", tmp_path / "s.parquet"
    quick = ("--label", "label", "--set", "calibration=0", "--quiet")
    assert run("fit", folder.train, "--detector", "pca", *quick, "-o", model).code == 0
    answer = run("score", folder.test, "--model", model, "-o", out)
    assert "p_value is empty" in answer.err
    assert read_table(out)["p_value"].null_count() == 1500


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_stops_it_half_way_leaves_no_output(run, folder, tmp_path, monkeypatch, error):
    def some(file, detector):
        yield from list(table_batches(file, detector, batch_rows=500))[:2]
        raise error

    monkeypatch.setattr(score_module, "table_batches", some)
    answer = run("score", folder.test, "--model", folder.pca, "-o", tmp_path / "s.csv")
    assert answer.code == (130 if error is KeyboardInterrupt else 1)
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_is_missing_is_named(run, folder, tmp_path):
    short = tmp_path / "short.csv"
    read_table(folder.test).drop("bytes_in").write_csv(short)
    answer = run("score", short, "--model", folder.pca, "-o", tmp_path / "s.csv")
    assert answer.code == 1
    assert "'bytes_in'" in answer.err


def test_a_note_is_given_once_for_all_batches(run, folder, tmp_path, monkeypatch):
    holes = tmp_path / "holes.parquet"
    table = read_table(folder.test).with_columns(duration=pl.lit(None, pl.Float64))
    table.write_parquet(holes)

    def small(file, detector):
        yield from table_batches(file, detector, batch_rows=300)

    monkeypatch.setattr(score_module, "table_batches", small)
    answer = run("score", holes, "--model", folder.pca, "-o", tmp_path / "s.csv", "--json")
    assert len(answer.document["warnings"]) == 1
    assert "'duration'" in answer.document["warnings"][0]


def test_memory_does_not_grow_with_the_file(run, tmp_path):
    rows = pl.DataFrame(np.random.default_rng(0).normal(size=(70_000, 4)).round(3), schema=["a", "b", "c", "d"])
    rows.head(500).write_csv(tmp_path / "train.csv")
    assert run("fit", tmp_path / "train.csv", "--detector", "pca", "-o", tmp_path / "m").code == 0
    peaks = []
    for times in (2, 10):
        path = tmp_path / f"{times}.csv"
        with path.open("wb") as stream:
            for k in range(times):
                stream.write(rows.write_csv(include_header=k == 0).encode())
        words = [
            "score",
            str(path),
            "--model",
            str(tmp_path / "m"),
            "-o",
            str(tmp_path / f"{times}.parquet"),
            "--quiet",
        ]
        said = subprocess.run([sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=True).stdout
        code, peak = map(int, said.split())
        assert code == 0
        peaks.append(peak)
    assert peaks[1] < 1.2 * peaks[0]

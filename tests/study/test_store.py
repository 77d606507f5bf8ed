"""Results are stored once, whole or not at all, whoever writes them."""

import sqlite3
import subprocess
import sys

import polars as pl
import pytest

from whitecrow.core.errors import DataError, FileFormatError, UnknownNameError
from whitecrow.study.outcome import Outcome
from whitecrow.study.store import Store, StoreError


def outcome(value=0.9, error=""):
    families = {} if error else {"far": (30, 0.5, 0.25)}
    figures = {} if error else {"auroc": value, "average_precision": 0.5}
    return Outcome(figures=figures, families=families, error=error, n_test=100).document()


def fill(store, study, n=None):
    keys = [cell.key("rows") for cell in study.cells]
    store.plan(study, keys)
    store.write(
        (k, c, "code", outcome(0.9 + 0.01 * i)) for i, (k, c) in enumerate(zip(keys[:n], study.cells, strict=False))
    )
    return keys


def test_what_is_written_is_read_back_exactly(make_study, tmp_path):
    study, store = make_study(), Store(tmp_path / "store")
    fill(store, study)
    cells = store.cells("small")
    assert cells.height == len(study.cells)
    first = cells.filter((pl.col("detector") == "autoencoder") & (pl.col("seed") == 0)).row(0, named=True)
    assert first["auroc"] == 0.9
    assert first["n_test"] == 100
    assert store.study("small")[0] == study
    families = store.families("small")
    assert families.height == len(study.cells)
    assert families["operational_recall"].to_list() == [0.25] * len(study.cells)


def test_a_cell_is_counted_once_however_often_it_is_written(make_study, tmp_path):
    study, store = make_study(), Store(tmp_path)
    keys = fill(store, study)
    store.write([(keys[0], study.cells[0], "code", outcome(0.1))])
    cells = store.cells("small")
    assert cells.height == len(keys)
    assert (cells["auroc"] == 0.1).sum() == 1


def test_a_write_that_fails_leaves_nothing(make_study, tmp_path):
    study, store = make_study(), Store(tmp_path)
    keys = [cell.key("rows") for cell in study.cells]
    broken = {**outcome(), "figures": {"auroc": object()}}
    with pytest.raises(sqlite3.Error):
        store.write([(keys[0], study.cells[0], "c", outcome()), (keys[1], study.cells[1], "c", broken)])
    assert store.finished() == {}


def test_a_failure_is_stored_with_its_error_and_not_averaged(make_study, tmp_path):
    study, store = make_study(), Store(tmp_path)
    keys = fill(store, study)
    store.write([(keys[0], study.cells[0], "code", outcome(error="TrainingError: no"))])
    assert store.finished()[keys[0]] is False
    row = store.cells("small").filter(pl.col("error") != "")
    assert row["error"].to_list() == ["TrainingError: no"]
    assert row["auroc"].to_list() == [None]


def test_studies_share_cells(make_study, tmp_path):
    store = Store(tmp_path)
    fill(store, make_study())
    other = make_study(name="part", detectors=["knn"])
    keys = [cell.key("rows") for cell in other.cells]
    store.plan(other, keys)
    assert set(keys) <= set(store.finished())
    assert store.cells("part").height == 3
    assert store.cells().height == 9
    assert store.studies()[0] in ("part", "small")


@pytest.mark.usefixtures("preloaded")
def test_several_processes_write_at_once(make_study, tmp_path):
    study = make_study(seeds=30)
    script = (
        "import sys\n"
        "from whitecrow.study.plan import load_study\n"
        "from whitecrow.study.store import Store\n"
        "from whitecrow.study.outcome import Outcome\n"
        "study, store = load_study(sys.argv[1]), Store(sys.argv[2])\n"
        "for cell in study.cells[int(sys.argv[3])::2]:\n"
        "    done = Outcome(figures={'auroc': 0.5}).document()\n"
        "    store.write([(cell.key('rows'), cell, 'code', done)])\n"
    )
    file = tmp_path / "small.toml"
    file.write_text(
        f'data = [{{name = "rows", file = "{make_study.file}", label = "kind"}}]\n'
        'detectors = ["knn", "pca"]\nseeds = 30\n'
    )
    arguments = [sys.executable, "-c", script, str(file), str(tmp_path / "store")]
    writers = [subprocess.Popen([*arguments, str(k)]) for k in (0, 1)]
    assert [w.wait(timeout=120) for w in writers] == [0, 0]
    cells = Store(tmp_path / "store").cells()
    assert cells.height == 60
    assert cells["auroc"].null_count() == 0
    assert len(study.cells) == 90


def test_export_is_the_table(make_study, tmp_path):
    study, store = make_study(), Store(tmp_path / "store")
    fill(store, study)
    assert store.export(tmp_path / "cells.parquet") == 9
    assert pl.read_parquet(tmp_path / "cells.parquet").equals(store.cells())
    store.export(tmp_path / "cells.csv", "small")
    assert pl.read_csv(tmp_path / "cells.csv")["auroc"].to_list() == store.cells()["auroc"].to_list()
    with pytest.raises(FileFormatError, match="parquet"):
        store.export(tmp_path / "cells.xlsx")
    with pytest.raises(DataError, match="no cell"):
        Store(tmp_path / "empty").export(tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def test_what_is_no_store_is_refused(make_study, tmp_path):
    with pytest.raises(StoreError, match="holds no results"):
        Store(tmp_path / "absent", create=False)
    assert not (tmp_path / "absent").exists()
    with pytest.raises(StoreError, match="is a file"):
        Store(make_study.file)
    (tmp_path / "results.sqlite").write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        Store(tmp_path)
    later = tmp_path / "later"
    Store(later)
    with sqlite3.connect(later / "results.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="later whitecrow"):
        Store(later)
    with pytest.raises(UnknownNameError, match="no study"):
        Store(tmp_path / "new").study("x")

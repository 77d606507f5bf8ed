"""Named data sets: found where they should be, never downloaded unasked, checked when they are."""

import gzip
import hashlib
import http.server
import os
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from whitecrow.core.errors import DatasetError, ParameterError, UnknownNameError
from whitecrow.data import datasets
from whitecrow.data.catalogue import CATALOGUE, SourceFile
from whitecrow.data.datasets import (
    KDD_COLUMNS,
    dataset_entries,
    dataset_names,
    fetch_dataset,
    load_dataset,
)

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data"))
NO_FILES = ("breast-cancer", "digits", "traffic-sim")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """Neither the environment nor the cache of the machine that runs the tests counts."""
    monkeypatch.delenv("WHITECROW_DATA", raising=False)
    monkeypatch.setattr(datasets, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def real():
    if not (DATA / "intrusion" / "kddcup.data_10_percent.gz").exists():
        pytest.skip("the real data sets are absent: set WHITECROW_DATA")
    return DATA


@pytest.fixture
def server(tmp_path):
    """Serve a folder on this machine; yields the folder and its address."""
    folder = tmp_path / "upstream"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()
        thread.join()


def kdd_line(label, service="http", land=0, extra=""):
    values = dict.fromkeys(KDD_COLUMNS, "0") | {
        "protocol_type": "tcp", "service": service, "flag": "SF", "land": str(land), "serror_rate": "0.25",
    }  # fmt: skip
    return ",".join([*values.values(), label]) + extra + "\n"


def write_kdd(folder, lines, name="intrusion/kddcup.data_10_percent.gz"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    opener = gzip.open if name.endswith(".gz") else open
    with opener(path, "wt") as file:
        file.writelines(lines)


def upstream(monkeypatch, server, content=b"", sha256=None, name="thyroid"):
    """Let ``name`` be downloaded from the local server."""
    folder, url = server
    (folder / "file.npz").write_bytes(content)
    digest = sha256 or hashlib.sha256(content).hexdigest()
    file = SourceFile("adbench/38_thyroid.npz", url + "file.npz", digest)
    monkeypatch.setitem(CATALOGUE, name, replace(CATALOGUE[name], files=(file,)))


def npz_bytes(tmp_path, rows=12):
    path = tmp_path / "made.npz"
    np.savez(path, X=np.arange(rows * 6.0).reshape(rows, 6), y=np.arange(rows) % 2)
    return path.read_bytes()


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def test_an_unknown_name_is_answered_with_the_nearest_ones():
    with pytest.raises(UnknownNameError, match="Did you mean thyroid"):
        load_dataset("tyroid")


def test_a_seed_that_is_no_number_is_refused():
    with pytest.raises(ParameterError, match="seed"):
        load_dataset("digits", seed=-1)


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - set(NO_FILES)))
def test_an_absent_data_set_says_where_it_was_looked_for_and_what_to_do(name, monkeypatch, tmp_path):
    monkeypatch.setenv("WHITECROW_DATA", str(tmp_path / "named"))
    with pytest.raises(DatasetError) as caught:
        load_dataset(name)
    message = str(caught.value)
    assert str(tmp_path / "named") in message
    assert str(tmp_path / "cache") in message
    assert (f"whitecrow data fetch {name}" in message) == CATALOGUE[name].fetchable


def test_a_folder_that_is_named_is_the_only_one_looked_in(monkeypatch, tmp_path):
    write_kdd(tmp_path / "named", [kdd_line("normal."), kdd_line("smurf.")])
    monkeypatch.setenv("WHITECROW_DATA", str(tmp_path / "named"))
    assert len(load_dataset("kddcup99-10").y) == 2
    with pytest.raises(DatasetError, match="other"):
        load_dataset("kddcup99-10", root=tmp_path / "other")


def test_kdd_counts_attacks_as_normal_and_its_reverse_does_not(tmp_path):
    lines = [kdd_line("normal.")] * 8 + [kdd_line("smurf.", "ecr_i")] * 5 + [kdd_line("spy.", land=1)] * 5
    write_kdd(tmp_path, lines)
    data = load_dataset("kddcup99-10", root=tmp_path)
    assert data.y.tolist() == [1] * 8 + [0] * 10
    assert data.families.tolist() == ["normal"] * 8 + ["dos"] * 5 + ["r2l"] * 5
    reverse = load_dataset("kdd-rev", root=tmp_path)
    assert reverse.y.tolist() == [0] * 8 + [1] * 2
    assert set(reverse.families[8:]) <= {"dos", "r2l"}


def test_symbolic_columns_declare_every_level_of_the_file(tmp_path):
    write_kdd(tmp_path, [kdd_line("normal.", "http"), kdd_line("spy.", "smtp", 1), kdd_line("spy.", "X11")])
    X = load_dataset("kddcup99-10", root=tmp_path).X
    assert X["service"].dtype == pl.Enum(["X11", "http", "smtp"])
    assert X[:1]["service"].dtype == X["service"].dtype
    assert X["land"].dtype == pl.Enum(["0", "1"])
    assert X["serror_rate"].to_list() == [0.25] * 3
    assert X["src_bytes"].dtype == pl.Int64


def test_nsl_kdd_prefers_the_full_training_file_and_says_which_it_read(tmp_path):
    twenty, test = "intrusion/KDDTrain+_20Percent.txt.gz", "intrusion/KDDTest+.txt.gz"
    write_kdd(tmp_path, [kdd_line("normal", extra=",21")], twenty)
    with pytest.raises(DatasetError, match="KDDTest"):
        load_dataset("nsl-kdd", root=tmp_path)
    write_kdd(tmp_path, [kdd_line("mscan", "smtp", extra=",3")], test)
    part = load_dataset("nsl-kdd", root=tmp_path)
    assert part.y.tolist() == [0, 1]
    assert part.families.tolist() == ["normal", "probe"]
    assert "20 %" in part.description
    assert "difficulty" not in part.X.columns
    write_kdd(tmp_path, [kdd_line("normal", extra=",21")] * 5, "intrusion/KDDTrain+.txt")
    full = load_dataset("nsl-kdd", root=tmp_path)
    assert len(full.y) == 6
    assert "20 %" not in full.description


@pytest.mark.parametrize("content", [b"", b"not a gzip file", gzip.compress(b"1,2,3\n", mtime=0)[:-6]])
@pytest.mark.parametrize("name", ["kddcup99-10", "thyroid", "arrhythmia"])
def test_a_broken_file_is_a_dataset_error_that_names_it(tmp_path, name, content):
    path = tmp_path / CATALOGUE[name].files[0].path
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=path.name):
        load_dataset(name, root=tmp_path)


def test_a_kdd_file_with_columns_missing_is_refused(tmp_path):
    write_kdd(tmp_path, ["0,tcp,http,SF,normal.\n"] * 3)
    with pytest.raises(DatasetError, match="kddcup"):
        load_dataset("kddcup99-10", root=tmp_path)


def test_fetch_downloads_verifies_and_makes_the_data_set_loadable(monkeypatch, server, tmp_path):
    upstream(monkeypatch, server, npz_bytes(tmp_path))
    folder = fetch_dataset("thyroid")
    assert folder == tmp_path / "cache"
    assert load_dataset("thyroid").X.shape == (12, 6)
    elsewhere = fetch_dataset("thyroid", cache=tmp_path / "elsewhere")
    assert load_dataset("thyroid", root=elsewhere).y.sum() == 6


def test_fetch_with_a_wrong_checksum_leaves_nothing_behind(monkeypatch, server, tmp_path):
    upstream(monkeypatch, server, npz_bytes(tmp_path), sha256="0" * 64)
    with pytest.raises(DatasetError, match="hash"):
        fetch_dataset("thyroid")
    assert files_below(tmp_path / "cache") == []
    with pytest.raises(DatasetError):
        load_dataset("thyroid")


def test_fetch_of_a_missing_page_is_a_dataset_error_and_leaves_nothing_behind(monkeypatch, server, tmp_path):
    upstream(monkeypatch, server, b"x")
    (server[0] / "file.npz").unlink()
    with pytest.raises(DatasetError, match="404"):
        fetch_dataset("thyroid")
    assert files_below(tmp_path / "cache") == []


def test_fetch_says_nothing_on_the_terminal(monkeypatch, server, tmp_path, capfd):
    upstream(monkeypatch, server, npz_bytes(tmp_path))
    fetch_dataset("thyroid")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["deepad", "pima", "digits"])
def test_what_has_no_verified_source_cannot_be_fetched(name, tmp_path):
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        fetch_dataset(name)
    assert files_below(tmp_path) == []


def test_loading_never_downloads(monkeypatch, server, tmp_path):
    upstream(monkeypatch, server, npz_bytes(tmp_path))
    with pytest.raises(DatasetError):
        load_dataset("thyroid")
    assert files_below(tmp_path / "cache") == []


def test_entries_tell_what_is_available_here_without_reading_it(tmp_path):
    path = tmp_path / "adbench" / "38_thyroid.npz"
    path.parent.mkdir()
    path.write_bytes(b"not even a table")
    entries = {item["name"]: item for item in dataset_entries(root=tmp_path)}
    assert list(entries) == dataset_names() == sorted(entries)
    assert {name for name, item in entries.items() if item["available"]} == {"thyroid", *NO_FILES}
    assert all(item["source"] and item["licence"] and 0 < item["anomaly_share"] < 1 for item in entries.values())


@pytest.mark.parametrize("name", NO_FILES)
def test_sets_without_files_match_the_catalogue_and_load_anywhere(name):
    data, item = load_dataset(name), CATALOGUE[name]
    assert (*data.X.shape, data.y.sum()) == (item.rows, item.columns, item.anomalies)
    assert data.y.dtype == np.int8
    assert len(data.families) == len(data.y)


def test_digits_draws_other_nines_for_another_seed_and_keeps_the_rest():
    one, other = load_dataset("digits", seed=1), load_dataset("digits", seed=2)
    np.testing.assert_array_equal(one.X[one.y == 0], other.X[other.y == 0])
    assert not np.array_equal(one.X[one.y == 1], other.X[other.y == 1])


def test_the_representation_tells_size_share_and_label_rule():
    assert repr(load_dataset("breast-cancer")).splitlines()[0] == (
        "Dataset('breast-cancer': array of 569 x 30, 212 anomalies (37.26%))"
    )
    assert "malignant" in repr(load_dataset("breast-cancer"))


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - {*NO_FILES, "nsl-kdd", "kdd-rev", "kddcup99-10"}))
def test_real_tables_match_the_catalogue(name, real):
    item = CATALOGUE[name]
    if not all((real / file.path).exists() for file in item.files):
        pytest.skip(f"{name} is absent from the data folder")
    data = load_dataset(name, root=real)
    assert (*data.X.shape, data.y.sum()) == (item.rows, item.columns, item.anomalies)
    assert data.X.dtype == np.float64
    assert np.isfinite(data.X).all()
    for file in item.files:
        digest = hashlib.sha256((real / file.path).read_bytes()).hexdigest()
        assert file.sha256 in (None, digest)


def test_the_real_kdd_file_encodes_to_121_columns(real):
    data = load_dataset("kddcup99-10", root=real)
    assert (*data.X.shape, data.y.sum()) == (494_021, 41, 97_278)
    widths = [len(t.categories) if isinstance(t, pl.Enum) else 1 for t in data.X.dtypes]
    assert sum(widths) == 121
    assert set(data.families) == {"normal", "dos", "probe", "r2l", "u2r"}
    assert (data.families == "normal").tolist() == (data.y == 1).tolist()


def test_the_real_reversed_kdd_set_redraws_its_attacks_for_each_seed(real):
    one, other = (load_dataset("kdd-rev", root=real, seed=seed) for seed in (0, 1))
    assert len(one.y) == len(other.y) == 97_278 + 24_319
    assert one.y.sum() == 24_319
    assert not one.X.equals(other.X)


def test_the_families_agree_with_the_published_list(real):
    published = dict(
        line.split() for line in (real / "intrusion/kdd_attack_types.txt").read_text().splitlines() if line
    )
    ours = {attack: family for family, attacks in datasets.KDD_FAMILIES.items() for attack in attacks.split()}
    assert published.items() <= ours.items()

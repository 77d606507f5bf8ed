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
from whitecrow.data.series.catalogue import SERIES

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data"))
NO_FILES = ("breast-cancer", "digits", "digits-8x8", "traffic-sim")
TABLES = [name for name, item in CATALOGUE.items() if item.kind == "table"]


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
    assert all(item["source"] and item["licence"] for item in entries.values())
    assert all(0 < entries[name]["anomaly_share"] < 1 for name in TABLES)


def test_entries_tell_the_kind_of_data():
    kinds = {item["name"]: item["kind"] for item in dataset_entries()}
    assert {name for name, kind in kinds.items() if kind == "image"} == {"digits-8x8", "mnist-28x28"}
    assert {name for name, kind in kinds.items() if kind == "sequence"} == {facts.name for facts in SERIES}
    assert kinds["digits"] == kinds["mnist"] == "table"


@pytest.mark.parametrize("name", NO_FILES)
def test_sets_without_files_match_the_catalogue_and_load_anywhere(name):
    data, item = load_dataset(name), CATALOGUE[name]
    assert (len(data.X), data.X[0].size if name == "digits-8x8" else data.X.shape[1]) == (item.rows, item.columns)
    assert data.y.sum() == item.anomalies
    assert data.y.dtype == np.int8
    assert len(data.families) == len(data.y)


def test_digits_as_images_are_those_of_the_table():
    images, table = load_dataset("digits-8x8"), load_dataset("digits")
    assert (images.kind, table.kind) == ("image", "table")
    assert images.X.shape == (1797, 8, 8)
    kept = images.families != "9"
    np.testing.assert_array_equal(images.X[kept].reshape(-1, 64), table.X[table.y == 0])
    assert repr(images).startswith("Dataset('digits-8x8': image array of 1,797 x 8 x 8, 0 anomalies")


def write_mnist(folder, images, digits):
    for name, array in (("images-idx3", images), ("labels-idx1", digits)):
        path = folder / "images" / f"mnist-t10k-{name}-ubyte.gz"
        path.parent.mkdir(exist_ok=True)
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
        path.write_bytes(gzip.compress(head + array.tobytes()))


def test_mnist_is_read_with_its_classes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    write_mnist(tmp_path, images, np.array([7, 2, 1], dtype=np.uint8))
    data = load_dataset("mnist-28x28", root=tmp_path)
    np.testing.assert_array_equal(data.X, images)
    assert (data.kind, data.families.tolist(), data.y.tolist()) == ("image", ["7", "2", "1"], [0, 0, 0])
    write_mnist(tmp_path, images, np.array([7, 2], dtype=np.uint8))
    with pytest.raises(DatasetError, match="do not match"):
        load_dataset("mnist-28x28", root=tmp_path)


def test_a_series_is_loaded_with_its_training_part(tmp_path):
    name = "tsb-ad/001_NAB_id_1"
    path = tmp_path / CATALOGUE[name].files[0].path
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"Data,Label\n" + b"1.5,0\n" * 1500 + b"9.5,1\n" * 20))
    data = load_dataset(name, root=tmp_path)
    assert (data.kind, data.X.shape, data.y.sum(), data.train_end) == ("sequence", (1520, 1), 20, 1007)
    assert repr(data).startswith(f"Dataset({name!r}: sequence array of 1,520 x 1, 20 anomalies")


def test_nab_comes_with_its_windows_and_its_times(tmp_path):
    name = "nab/nyc_taxi"
    series, windows = (tmp_path / file.path for file in CATALOGUE[name].files)
    series.parent.mkdir(parents=True)
    lines = [f"2014-07-01 00:{minute:02}:00,{minute}" for minute in range(60)]
    series.write_bytes(gzip.compress("\n".join(["timestamp,value", *lines]).encode()))
    windows.write_text('{"realKnownCause/nyc_taxi.csv": [["2014-07-01 00:30:00", "2014-07-01 00:39:00"]]}')
    data = load_dataset(name, root=tmp_path)
    assert data.X.columns == ["timestamp", "value"]
    assert np.flatnonzero(data.y).tolist() == list(range(30, 40))
    assert data.train_end is None
    windows.write_text("{}")
    with pytest.raises(DatasetError, match="no entry"):
        load_dataset(name, root=tmp_path)


def test_digits_draws_other_nines_for_another_seed_and_keeps_the_rest():
    one, other = load_dataset("digits", seed=1), load_dataset("digits", seed=2)
    np.testing.assert_array_equal(one.X[one.y == 0], other.X[other.y == 0])
    assert not np.array_equal(one.X[one.y == 1], other.X[other.y == 1])


def test_the_representation_tells_size_share_and_label_rule():
    assert repr(load_dataset("breast-cancer")).splitlines()[0] == (
        "Dataset('breast-cancer': array of 569 x 30, 212 anomalies (37.26%))"
    )
    assert "malignant" in repr(load_dataset("breast-cancer"))


@pytest.mark.parametrize("name", sorted(set(TABLES) - {*NO_FILES, "nsl-kdd", "kdd-rev", "kddcup99-10"}))
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


def test_the_real_mnist_file_is_the_test_file(real):
    if not (real / CATALOGUE["mnist-28x28"].files[0].path).exists():
        pytest.skip("MNIST is absent from the data folder")
    data = load_dataset("mnist-28x28", root=real)
    assert data.X.shape == (10_000, 28, 28)
    assert data.X.dtype == np.uint8
    counts = np.unique(data.families, return_counts=True)[1]
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


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

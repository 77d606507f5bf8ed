"""Readers of the named sets of series, on made files and on the real ones."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from whitecrow.core.errors import FileFormatError, WhitecrowWarning
from whitecrow.data.series import as_series
from whitecrow.data.series.catalogue import SERIES
from whitecrow.data.series.files import SERIES_READERS, read_nab, read_tsb_ad

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def test_names_are_distinct_and_readers_known():
    assert len({facts.name for facts in SERIES}) == len(SERIES)
    assert {facts.reader for facts in SERIES} == set(SERIES_READERS)


@pytest.mark.parametrize("facts", SERIES, ids=lambda facts: facts.name)
def test_the_catalogue_says_what_the_files_hold(facts):
    paths = [DATA / path for path in facts.files]
    if not all(path.is_file() for path in paths):
        pytest.skip("the real series are absent: set WHITECROW_DATA")
    part = SERIES_READERS[facts.reader](paths)
    assert (len(part.X), int(part.y.sum())) == (facts.rows, facts.anomalies)
    assert len(part.y) == facts.rows
    if facts.reader == "tsb-ad":
        assert f"its first {part.train_end} rows" in facts.description
        assert not part.y[: part.train_end].any()
    if facts.reader == "ecg5000":
        assert part.X.shape == (5000, facts.columns, 1)
        assert np.unique(part.families[: part.train_end], return_counts=True)[1].tolist() == [292, 177, 10, 19, 2]
    else:
        assert part.X.shape[1] == facts.columns + (facts.reader == "nab")


def nab(folder, stamps, windows):
    path = folder / "real" / "made.csv.gz"
    path.parent.mkdir()
    with gzip.open(path, "wt") as file:
        file.write("timestamp,value\n" + "".join(f"{stamp},{k}\n" for k, stamp in enumerate(stamps)))
    (folder / "windows.json").write_text(json.dumps(windows))
    return [path, folder / "windows.json"]


def test_both_ends_of_a_window_are_anomalies(tmp_path):
    stamps = [f"2014-04-10 0{k}:00:00" for k in range(6)]
    ends = ["2014-04-10 01:00:00.000000", "2014-04-10 03:00:00.000000"]
    part = read_nab(nab(tmp_path, stamps, {"real/made.csv": [ends]}))
    assert part.y.tolist() == [0, 1, 1, 1, 0, 0]
    assert as_series(part.X).channels == ("value",)


def test_a_series_without_an_entry_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"no entry 'real/made\.csv'"):
        read_nab(nab(tmp_path, ["2014-04-10 00:00:00"], {}))


@pytest.mark.parametrize(
    ("name", "head"), [("x_tr_9_1st_9.csv", "v,Label"), ("x.csv", "v,Label"), ("x_tr_1_1st_9.csv", "Label,v")]
)
def test_a_file_that_is_none_of_the_benchmark_is_refused(tmp_path, name, head):
    (tmp_path / name).write_text(f"{head}\n1,0\n2,1\n")
    with pytest.raises(FileFormatError, match="tr_N"):
        read_tsb_ad([tmp_path / name])


def test_a_clock_that_was_set_back_is_sorted_and_its_hour_averaged():
    path = DATA / "timeseries/nab/realKnownCause/machine_temperature_system_failure.csv.gz"
    if not path.is_file():
        pytest.skip("NAB is absent: set WHITECROW_DATA")
    part = read_nab([path, DATA / "timeseries/nab/combined_windows.json"])
    with pytest.warns(WhitecrowWarning) as caught:
        rows = as_series(part.X)
    assert len(caught) == 2
    assert len(rows) == len(rows.present(np.zeros(rows.n_scores))) == 22_695
    assert len(rows.values) == 22_683
    assert rows.arrange(part.y).sum() <= part.y.sum()

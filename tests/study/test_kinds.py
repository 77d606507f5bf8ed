"""Studies of images and series, from the file to the figures of a cell."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

import whitecrow as wc
from whitecrow.core.errors import ParameterError
from whitecrow.data.catalogue import CATALOGUE
from whitecrow.data.series import period
from whitecrow.metrics import auroc
from whitecrow.metrics.series import vus
from whitecrow.study import Store, Study, load_study, run_block, run_study
from whitecrow.study.sources import load_rows

REPOSITORY = Path(__file__).parents[2]
DATA = Path(os.environ.get("WHITECROW_DATA", REPOSITORY.parent / "shared" / "data"))
SERIES = "tsb-ad/001_NAB_id_1"
QUICK = {"name": "conv-autoencoder", "parameters": {"epochs": 1}, "max_train": 40}
SMALL = {"name": "digits-8x8", "options": {"one_class": "0", "most_anomalies": 60}}


def images(**given):
    document = {"name": "s", "data": [SMALL], "detectors": [QUICK], "protocol": "one-class-images", "seeds": 2}
    return Study.of({**document, **given})


def steps(**given):
    document = {"name": "s", "data": [SERIES], "detectors": ["spectral-residual"], "protocol": "tsb-ad", "seeds": 1}
    return Study.of({**document, **given})


@pytest.fixture
def root(tmp_path):
    """A folder with a short series, a short series of NAB and a few heartbeats under the names of real ones."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(1600) * 2 * np.pi / 25) + rng.normal(scale=0.05, size=1600)
    wave[1300:1320] += 3
    label = np.zeros(1600, dtype=int)
    label[1300:1320] = 1
    lines = [f"{x:.6f},{y}" for x, y in zip(wave, label, strict=True)]
    write(tmp_path / CATALOGUE[SERIES].files[0].path, ["Data,Label", *lines])
    series, windows = (tmp_path / file.path for file in CATALOGUE["nab/nyc_taxi"].files)
    stamps = np.datetime64("2014-07-01T00:00:00") + np.arange(1600) * np.timedelta64(30, "m")
    texts = [str(stamp).replace("T", " ") for stamp in stamps]
    write(series, ["timestamp,value", *(f"{t},{x:.6f}" for t, x in zip(texts, wave, strict=True))])
    windows.write_text(f'{{"realKnownCause/nyc_taxi.csv": [["{texts[1300]}", "{texts[1319]}"]]}}')
    beats = np.sin(np.linspace(0, 6, 30)) + rng.normal(scale=0.05, size=(120, 30))
    kinds = np.tile([1, 1, 1, 2], 30)
    beats[kinds == 2] *= -1
    np.savez(
        tmp_path / CATALOGUE["ecg5000"].files[0].path,
        X_test=beats[:60], y_test=kinds[:60], X_train=beats[60:], y_train=kinds[60:],
    )  # fmt: skip
    return tmp_path


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


# ---- plans ----------------------------------------------------------------------------------------------------------


def test_each_makes_a_data_set_of_every_combination():
    study = images(data=[{"name": "digits-8x8", "each": {"convention": ["N1", "A1"], "one_class": ["0", "7"]}}])
    assert [choice.title for choice in study.data] == [
        "digits-8x8 N1 0", "digits-8x8 N1 7", "digits-8x8 A1 0", "digits-8x8 A1 7",
    ]  # fmt: skip
    assert study.data[-1].options == {"convention": "A1", "one_class": "7"}
    keys = {cell.key("rows") for cell in study.cells}
    assert len(keys) == len(study.cells) == 8
    assert Study.of(study.document()) == study


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (images, {"detectors": ["lof"]}, r"lof takes table data, and digits-8x8 is image data.*patchcore"),
        (steps, {"detectors": ["conv-autoencoder"]}, r"takes image data, and tsb-ad/001.*matrix-profile"),
        (images, {"protocol": "house", "data": ["digits-8x8"]}, "splits table data. Use one of: one-class-images"),
        (images, {"data": ["thyroid"]}, r"splits image data. Use one of: .*robustness"),
        (images, {"figures": ["vus_pr"]}, "vus_pr is of the protocols tsb-ad and nab"),
        (steps, {"figures": ["best_nab_standard_on_test"]}, "not of tsb-ad"),
        (images, {"data": [SMALL, SMALL]}, "digits-8x8 is named twice. Give each a name, alias"),
        (images, {"data": [{**SMALL, "each": {"one_class": ["1"]}}]}, "one_class stands under options and under each"),
        (images, {"data": [{"name": "digits-8x8", "each": {"one_class": "1"}}]}, r"each.one_class = \[...\]"),
        (images, {"data": [{"name": "digits-8x8", "each": ["1"]}]}, "each is a table of options"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_runs(make, given, message):
    with pytest.raises(ParameterError, match=message):
        make(**given)


def test_what_the_rows_do_not_allow_is_refused_before_anything_runs(root, tmp_path):
    store = Store(tmp_path / "store")
    refused = [
        (images(data=[{"name": "digits-8x8", "options": {"one_class": "x"}}]), "classes are 0, 1"),
        (images(contamination=[0.0, 0.9]), "largest share here"),
        (images(data=[{**SMALL, "distinct": True}]), "distinct is for tables"),
        (steps(data=["ecg5000"]), "rows that stand alone"),
        (steps(protocol="ecg5000"), "this data set has the steps of a series"),
        (steps(data=["nab/nyc_taxi"]), "where its training part ends"),
        (steps(contamination=[0.1]), "injects no anomalies"),
    ]
    for study, message in refused:
        with pytest.raises(ParameterError, match=message):
            run_study(study, store, root=str(root))
    assert store.finished() == {}


@pytest.mark.parametrize("file", sorted((REPOSITORY / "studies").glob("*.toml")), ids=lambda file: file.stem)
def test_the_studies_that_are_committed_can_be_planned(file):
    study = load_study(file)
    assert study.name == file.stem
    assert len({cell.key(cell.data.title) for cell in study.cells}) == len(study.cells) > 0


# ---- cells ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["N1", "A1"])
def test_a_cell_of_images_is_what_a_user_would_compute(convention):
    study = images(options={"convention": convention, "holdout": 0.0})
    outcome = run_block(study.cells[:1])[0]
    assert outcome.error == ""
    rows = load_rows(study.data[0])
    rule = study.protocol_for(study.data[0])
    split = rule.split(rows.y, seed=0, families=rows.families)
    train = np.sort(np.random.default_rng([0, 40]).permutation(split.train)[:40])
    model = wc.detector("conv-autoencoder", epochs=1, regime="clean", random_state=0, contamination=0.05)
    scores = model.fit(rows.X[train]).anomaly_score(rows.X[split.test])
    anomalous = (rows.families[split.test] == "0") == (convention == "A1")
    assert outcome.figures["auroc"] == pytest.approx(auroc(anomalous, scores))
    assert outcome.prevalence == pytest.approx(anomalous.mean())
    assert set(outcome.families) == ({"0"} if convention == "A1" else set("123456789"))
    assert (outcome.n_train, outcome.n_test, outcome.together) == (40, len(split.test), 1)


@pytest.mark.usefixtures("preloaded")
def test_a_study_of_images_runs_once_with_contamination(tmp_path):
    study, store = images(contamination=[0.0, 0.1], seeds=1), Store(tmp_path)
    summary = run_study(study, store)
    assert (summary.done, summary.failed) == (2, 0)
    cells = store.cells("s").sort("contamination")
    assert cells["dataset"].to_list() == ["digits-8x8"] * 2
    assert cells["n_test"].n_unique() == 1
    assert run_study(study, store).done == 0


def test_a_cell_of_steps_trains_on_the_first_and_measures_all(root):
    study = steps(detectors=["sub-pca"])
    outcome = run_block(study.cells, root)[0]
    assert outcome.error == ""
    rows = load_rows(study.data[0], root)
    model = wc.detector("sub-pca", regime="clean", random_state=0, contamination=0.05).fit(rows.X[:1007])
    scores, buffer = model.anomaly_score(rows.X), period(rows.X)
    assert buffer == rows.period == 25
    area = vus(rows.y, scores, buffer)
    assert outcome.figures["vus_pr"] == pytest.approx(area.pr)
    assert outcome.figures["vus_roc"] == pytest.approx(area.roc)
    assert outcome.figures["auroc"] > 0.95
    assert outcome.copies == pytest.approx(1007 / 1600)
    assert not any("nab" in name for name in outcome.figures)


def test_the_latest_steps_stay_where_training_is_capped(root):
    study = steps(detectors=[{"name": "sub-pca", "max_train": 300}])
    outcome = run_block(study.cells, root)[0]
    rows = load_rows(study.data[0], root)
    model = wc.detector("sub-pca", regime="clean", random_state=0, contamination=0.05).fit(rows.X[707:1007])
    assert outcome.n_train == 300
    assert outcome.figures["auroc"] == pytest.approx(auroc(rows.y, model.anomaly_score(rows.X)))


def test_a_cell_of_nab_measures_what_comes_after_the_probationary_period(root):
    study = steps(protocol="nab", data=["nab/nyc_taxi"], figures=["best_nab_standard_on_test", "vus_pr"])
    outcome = run_block(study.cells, root)[0]
    assert outcome.error == ""
    assert (outcome.n_train, outcome.n_test, outcome.copies) == (240, 1360, 0)
    assert 50 < outcome.figures["best_nab_standard_on_test"] <= 100
    assert outcome.figures["operational_nab_standard"] <= outcome.figures["best_nab_standard_on_test"]


def test_a_cell_of_heartbeats_tells_windows_apart(root):
    study = steps(protocol="ecg5000", data=["ecg5000"], detectors=["sub-pca"], contamination=[0.0, 0.1])
    for cell, n_injected in zip(study.cells, (0, 5), strict=True):
        outcome = run_block([cell], root)[0]
        assert outcome.error == ""
        assert (outcome.n_train, outcome.n_test) == (45 + n_injected, 60)
        assert set(outcome.families) == {"2"}
        assert "vus_pr" not in outcome.figures
    assert outcome.prevalence == 0.25


def test_spectral_residual_on_the_first_series_of_tsb_ad_is_the_benchmarks():
    if not (DATA / CATALOGUE[SERIES].files[0].path).is_file():
        pytest.skip("the real series are absent: set WHITECROW_DATA")
    outcome = run_block(steps().cells, DATA)[0]
    assert outcome.figures["vus_pr"] == pytest.approx(0.135, abs=0.002)
    assert (outcome.n_train, outcome.n_test) == (1007, 4031)

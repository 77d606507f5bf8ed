"""A published table is told apart from ours: whose figure, from where, on which rows, and how far off."""

import gzip
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from whitecrow.core.errors import DatasetError, FileFormatError, ParameterError, UnknownNameError
from whitecrow.data.datasets import KDD_COLUMNS, KDD_SYMBOLIC, dataset_entries, load_dataset
from whitecrow.study import reproduce
from whitecrow.study.execution import run_block
from whitecrow.study.figures import figures
from whitecrow.study.outcome import Outcome
from whitecrow.study.published import text
from whitecrow.study.published.deepad import DEEPAD_COLUMNS, write_deepad
from whitecrow.study.published.rows import Reproduction, Row
from whitecrow.study.published.tables import (
    EVIDENCE,
    PublishedFigure,
    Table,
    load_table,
    read_published,
    table_names,
)
from whitecrow.study.store import Store

TABLES = [load_table(name) for name in table_names()]


def published(**given):
    usual = {"method": "Theirs", "dataset": "rows", "figure": "auroc", "value": 0.9, "source": "A paper",
             "evidence": "paper", "ours": ("pca",)}  # fmt: skip
    return PublishedFigure(**{**usual, **given})


@pytest.fixture
def everything_here(monkeypatch):
    monkeypatch.setattr(
        reproduce, "_here", lambda root: {item["name"] for item in dataset_entries()} | {"deepad-97278"}
    )
    monkeypatch.setattr(reproduce, "_partial", lambda names, root: ())


# ---- the tables as data ---------------------------------------------------------------------------------------------


def test_the_tables_asked_for_are_there():
    assert set(table_names()) >= {"dagmm", "alad", "robustness", "deepad", "adbench-one-class", "adbench-unsupervised"}


def test_an_unknown_table_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="dagmm-contaminated"):
        load_table("dagm")


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_every_published_figure_has_a_source_and_stands_beside_a_cell_of_the_full_table(
    table, everything_here, tmp_path
):
    plan = reproduce.plan_table(table.name, folder=tmp_path, prepare=False)
    run = {
        (data.name, detector.title, share)
        for study in plan.studies
        for data in study.data
        for detector in study.detectors
        for share in study.contamination
    }
    datasets, titles = {name for name, _, _ in run}, {title for _, title, _ in run}
    for one in table.published:
        assert 0 < one.value < 1
        assert one.source
        assert one.evidence in EVIDENCE
        assert one.figure in table.figures
        assert one.dataset in datasets
        assert not one.ours or any((one.dataset, title, one.share) in run for title in one.ours), one
    assert {title for one in table.published for title in one.ours} <= titles
    assert {title for ours in table.columns.values() for title in ours} <= titles
    assert set(table.figures) <= set(figures())
    assert table.published or table.columns


def _content(cell):
    """Return what the key of a cell is made of, but for the rows and the version of the code."""
    detector = cell.detector
    what = (cell.options, detector.name, detector.parameters, detector.max_train, cell.regime, cell.contamination)
    return repr((cell.data.name, cell.protocol, *what, cell.seed))


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_the_quick_variant_shares_no_cell_with_the_full_one_and_has_fewer(table, everything_here, tmp_path):
    full, quick = (reproduce.plan_table(table.name, folder=tmp_path, quick=q, prepare=False) for q in (False, True))
    cells = [[cell for study in plan.studies for cell in study.cells] for plan in (full, quick)]
    described = [{_content(cell) for cell in some} for some in cells]
    assert not described[0] & described[1]
    assert 0 < len(cells[1]) < len(cells[0]) / 2
    assert max(cell.seed for cell in cells[1]) <= 1
    assert all(study.name.endswith("-quick") for study in quick.studies)
    assert not {study.name for study in quick.studies} & {study.name for study in full.studies}


def test_figures_that_the_sources_give_are_those_in_the_tables():
    def of(name, method, dataset, share=0.0, figure=None):
        (value,) = {
            (one.value, one.std)
            for one in load_table(name).published
            if (one.method, one.dataset, one.share) == (method, dataset, share) and figure in (None, one.figure)
        }
        return value[0] if math.isnan(value[1]) else value

    assert of("dagmm", "DAGMM", "thyroid") == 0.4782
    assert of("dagmm", "OC-SVM", "kdd-rev") == 0.8316
    assert of("dagmm-contaminated", "OC-SVM", "kddcup99-10", 0.05) == 0.1720
    assert of("alad", "ALAD", "kddcup99-10") == (0.9501, 0.002)
    assert of("robustness", "DAGMM", "kddcup99-10", 0.12) == (0.407, 0.139)
    assert of("robustness", "DUAD", "nsl-kdd", 0.12) == (0.915, 0.004)
    assert of("deepad", "OCSVM", "deepad-97278", figure="auroc") == 0.958


def test_a_file_of_published_figures_is_read_in_percent(tmp_path):
    file = tmp_path / "auroc.csv"
    file.write_text("dataset,kNN,Other,LOF\nGlass,92.04,1.0,88.8\nwbc,100,2.0,\n")
    found = read_published(file, "auroc", {"kNN": ("knn", "knn, published"), "LOF": ("lof",), "PCA": ("pca",)})
    assert [(one.method, one.dataset) for one in found] == [("kNN", "glass"), ("LOF", "glass"), ("kNN", "wbc")]
    assert [one.value for one in found] == pytest.approx([0.9204, 0.888, 1.0])
    assert found[0].ours == ("knn", "knn, published")
    assert all(math.isnan(one.std) for one in found)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("set,kNN\nglass,92\n", "needs a column dataset"),
        ("dataset,Other\nglass,92\n", "at least one of kNN"),
        ("dataset,kNN\nglass,high\n", "kNN on glass is 'high'"),
        ("dataset,kNN\nglass,120\n", "from 0 to 100"),
        ("", "needs a column dataset"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, said):
    file = tmp_path / "auroc.csv"
    file.write_text(content)
    with pytest.raises(FileFormatError, match=said):
        read_published(file, "auroc", {"kNN": ("knn",)})


# ---- the band -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "std", "verdict"),
    [
        (0.93, math.nan, "inside"),
        (0.931, math.nan, "above"),
        (0.869, math.nan, "below"),
        (0.931, 0.002, "above"),  # twice 0.2 points is less than three
        (0.99, 0.05, "inside"),
        (0.79, 0.05, "below"),
    ],
)
def test_the_band_is_two_published_deviations_but_at_least_three_points(ours, std, verdict):
    row = Row(dataset="rows", detector="pca", figure="auroc", share=0.0, ours=ours, published=published(std=std))
    assert row.verdict == verdict
    assert row.difference == pytest.approx(ours - 0.9)


def test_nothing_is_said_of_a_figure_that_stands_alone():
    alone = Row(dataset="rows", detector="pca", figure="auroc", share=0.0, ours=0.9)
    missing = Row(dataset="rows", detector="pca", figure="auroc", share=0.0, published=published())
    assert (alone.verdict, missing.verdict) == ("", "")
    assert math.isnan(alone.difference)
    assert math.isnan(missing.difference)


# ---- ours beside theirs ---------------------------------------------------------------------------------------------


def table_of(study, *figures_published, **given):
    usual = {"name": "small", "title": "A table", "source": "A paper", "figures": ("auroc",), "differences": ("Much.",)}
    usual |= {"studies": (study,), "quick": {"seeds": 2, "options": {"max_rows": 200}, "max_train": 50}}
    return Table(**{**usual, "published": figures_published, **given})


@pytest.fixture
def filled(make_study, tmp_path):
    """Return a plan and a store in which the figures of two detectors are known, and one seed failed."""
    study = make_study(detectors=["pca", "knn"], contamination=[0.0, 0.05], regimes=["contaminated"])
    store = Store(tmp_path / "store")
    keys = [f"key {k}" for k in range(len(study.cells))]
    store.plan(study, keys)
    outcomes = []
    for cell in study.cells:
        failed = cell.detector.name == "knn" and cell.seed == 1
        value = 0.8 + 0.05 * cell.seed - cell.contamination
        known = {"figures": {"auroc": value}, "n_train": 100 + cell.seed, "n_test": 50, "prevalence": 0.2}
        outcomes.append(Outcome(error="it broke") if failed else Outcome(**known))
    rows = zip(keys, study.cells, ["code"] * len(keys), (o.document() for o in outcomes), strict=True)
    store.write(rows)
    return lambda *theirs: (reproduce.Plan(table=table_of({}, *theirs), quick=False, studies=(study,)), store)


def test_our_figure_is_the_mean_over_the_seeds_that_went_well(filled):
    rows = {(row.detector, row.share): row for row in reproduce.compare(*filled()).rows}
    assert set(rows) == {("pca", 0.0), ("pca", 0.05), ("knn", 0.0), ("knn", 0.05)}
    pca, knn = rows["pca", 0.05], rows["knn", 0.05]
    assert (pca.ours, pca.ours_std) == pytest.approx((0.8, np.std([0.75, 0.8, 0.85], ddof=1)))
    assert (pca.seeds, pca.planned, pca.failed) == (3, 3, 0)
    assert (pca.n_train, pca.n_test, pca.prevalence) == pytest.approx((101, 50, 0.2))
    assert (knn.seeds, knn.planned, knn.failed) == (2, 3, 1)
    assert (knn.ours, knn.ours_std) == pytest.approx((0.8, np.std([0.75, 0.85], ddof=1)))


def test_a_published_figure_stands_beside_the_same_data_detector_share_and_figure_only(filled):
    beside = published(share=0.05)
    elsewhere = [
        published(dataset="others", share=0.05),
        published(figure="average_precision", share=0.05),
        published(share=0.08),
    ]
    rows = reproduce.compare(*filled(beside, *elsewhere)).rows
    assert [(row.detector, row.share) for row in rows if row.published is not None] == [("pca", 0.05)]


def test_a_detector_has_a_row_for_each_method_it_is_compared_with(filled):
    theirs = [published(method="A"), published(method="B", value=0.7), published(method="None here", ours=())]
    rows = reproduce.compare(*filled(*theirs)).rows
    compared = [(row.detector, row.published.method, row.verdict) for row in rows if row.published is not None]
    assert compared == [("pca", "A", "below"), ("pca", "B", "above"), ("", "None here", "")]


def test_what_was_never_run_has_no_figure(filled, tmp_path):
    plan, _ = filled(published())
    rows = reproduce.compare(plan, Store(tmp_path / "empty")).rows
    assert {row.seeds for row in rows} == {0}
    assert all(math.isnan(row.ours) for row in rows)
    assert "–" in text.cells(reproduce.compare(plan, Store(tmp_path / "empty")))[0]


def test_means_are_over_the_sets_that_have_both_figures():
    def row(dataset, ours, value):
        theirs = None if value is None else published(dataset=dataset, value=value)
        return Row(dataset=dataset, detector="pca", figure="auroc", share=0.0, ours=ours, published=theirs)

    rows = (row("a", 0.9, 0.8), row("b", 0.7, 0.8), row("c", math.nan, 0.1), row("d", 0.1, None))
    (mean,) = Reproduction(table=table_of({}), quick=False, rows=rows).means()
    assert (mean.detector, mean.method, mean.n) == ("pca", "Theirs", 2)
    assert (mean.ours, mean.published) == pytest.approx((0.8, 0.8))


# ---- what is to be run ----------------------------------------------------------------------------------------------


@pytest.fixture
def small_table(monkeypatch):
    """Put a table on a generated data set, an absent one and two detectors in place of the published ones."""
    document = {"name": "one", "data": ["breast-cancer", "absent"], "protocol": "house", "seeds": 4,
                "detectors": ["pca", {"name": "knn", "label": "knn, published"}]}  # fmt: skip

    def put(**given):
        table = table_of({**document, **given.pop("study", {})}, **given)
        monkeypatch.setattr(reproduce, "load_table", lambda name: table)
        return table

    return put


def test_data_sets_that_are_absent_are_named_and_left_out(small_table, tmp_path):
    small_table()
    plan = reproduce.plan_table("small", folder=tmp_path)
    assert plan.missing == ("absent",)
    assert [choice.name for study in plan.studies for choice in study.data] == ["breast-cancer"]
    shown = Reproduction(table=plan.table, quick=False, rows=(), missing=plan.missing)
    assert "Absent here, and left out: absent." in text.remarks(shown)


def test_without_any_data_set_the_remedy_is_told(small_table, tmp_path):
    small_table(study={"data": ["absent"]})
    with pytest.raises(DatasetError, match="whitecrow data fetch NAME, for absent"):
        reproduce.plan_table("small", folder=tmp_path)


def test_quick_caps_seeds_rows_and_training_rows_and_drops_what_is_costly(small_table, tmp_path):
    quick = {"seeds": 2, "options": {"max_rows": 200}, "max_train": 50, "without": ["knn, published"]}
    small_table(quick=quick, study={"options": {"holdout": 0.2}})
    (study,) = reproduce.plan_table("small", folder=tmp_path, quick=True).studies
    assert study.name == "small-one-quick"
    assert [cell.seed for cell in study.cells] == [0, 1]
    assert (study.cells[0].options["max_rows"], study.cells[0].options["holdout"]) == (200, 0.2)
    assert study.cells[0].detector.max_train == 50


def test_a_study_that_quick_leaves_without_detectors_is_not_run(everything_here, tmp_path):
    full, quick = (reproduce.plan_table("robustness", folder=tmp_path, quick=q).studies for q in (False, True))
    names = ["robustness-defaults", "robustness-published", "robustness-published-duad"]
    assert [study.name for study in full] == names
    assert [study.name for study in quick] == ["robustness-defaults-quick"]


def test_a_table_with_figures_of_its_own_takes_no_file(tmp_path):
    with pytest.raises(ParameterError, match="comes with its published figures"):
        reproduce.plan_table("dagmm", folder=tmp_path, published=tmp_path / "any.csv")


def test_another_figure_of_a_file_is_compared_under_its_own_name(small_table, tmp_path):
    file = tmp_path / "ap.csv"
    file.write_text("dataset,PCA\nbreast-cancer,90\n")
    small_table(columns={"PCA": ("pca",)})
    plan = reproduce.plan_table("small", folder=tmp_path, published=file, figure="average_precision")
    assert plan.table.figures == ("average_precision",)
    assert [(one.figure, one.value, one.source) for one in plan.table.published] == [
        ("average_precision", 0.9, "ap.csv")
    ]
    with pytest.raises(ParameterError, match="no name for a figure"):
        reproduce.plan_table("small", folder=tmp_path, published=file, figure="f1")


# ---- words ----------------------------------------------------------------------------------------------------------


def test_quick_figures_are_called_quick_in_title_head_and_remarks():
    shown = Reproduction(table=table_of({}), quick=True, rows=())
    assert text.title(shown).endswith("QUICK")
    assert "Ours, quick" in text.heads(shown)
    assert "not the figures of the table" in text.remarks(shown)[0]
    full = replace(shown, quick=False)
    assert "quick" not in f"{text.title(full)} {text.heads(full)} {text.remarks(full)}".lower()


def test_markdown_has_every_row_source_and_caveat():
    theirs = published(std=0.01, runs=20, caveat="Mind the | bar.")
    row = Row(dataset="rows", detector="pca", figure="auroc", share=0.05, ours=0.85, ours_std=0.02, seeds=3, planned=4,
              failed=1, published=theirs)  # fmt: skip
    written = text.markdown(
        Reproduction(table=table_of({}, theirs), quick=False, rows=(row, replace(row, published=None)))
    )
    assert (
        "| rows | pca | 5 % | 85.0 ± 2.0 | 3 of 4, 1 failed | 90.0 ± 1.0 | -5.0 | below ±3.0 | Theirs [1, 2] |"
        in written
    )
    assert "| rows | pca | 5 % | 85.0 ± 2.0 | 3 of 4, 1 failed |  |  |  |  |" in written
    assert "1. A paper: as the publication is known to print it" in written
    assert "2. Mind the \\| bar." in written
    assert "- Much." in written


# ---- the rows of deepad ---------------------------------------------------------------------------------------------


@pytest.fixture
def intrusion(tmp_path):
    """Return a folder with tiny files in the formats of KDD Cup 1999 and of deepad."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "intrusion"
    (folder / "deepad_8020").mkdir(parents=True)
    numbers = {name: rng.integers(0, 100, 12) for name in KDD_COLUMNS}
    shares = {name: values / 100 for name, values in numbers.items() if name.endswith("rate")}
    table = {**numbers, **shares, **{name: ["a"] * 12 for name in KDD_SYMBOLIC}}
    rows = pl.DataFrame({**table, "label": ["normal."] * 8 + ["smurf."] * 4})
    with gzip.open(folder / "kddcup.data_10_percent.gz", "wb") as file:
        rows.write_csv(file, include_header=False)
    for name, target, value in (("inliers", 0, 0.5), ("outliers", 1, 500.0)):
        part = pl.DataFrame({column: [value] * 2 for column in DEEPAD_COLUMNS} | {"target": [target] * 2})
        with gzip.open(folder / "deepad_8020" / f"test_{name}.csv.gz", "wb") as file:
            part.write_csv(file)
    return tmp_path / "data", rows


def test_rows_of_deepad_are_scaled_by_its_training_rows_and_not_clipped(intrusion, tmp_path):
    root, rows = intrusion
    assert write_deepad(tmp_path / "deepad.parquet", root=root) == 8
    written = pl.read_parquet(tmp_path / "deepad.parquet")
    assert written["target"].to_list() == [0] * 10 + [1] * 2
    train = rows.head(8).select(DEEPAD_COLUMNS).cast(pl.Float64).to_numpy()
    low, high = train.min(0), train.max(0)
    X = written.drop("target").to_numpy()
    np.testing.assert_allclose(X[:8], (train - low) / (high - low), atol=1e-6)
    np.testing.assert_allclose(X[10], (500 - low) / (high - low), rtol=1e-5)


def test_a_composed_data_set_is_written_where_the_results_are(intrusion, tmp_path):
    plan = reproduce.plan_table("deepad", folder=tmp_path / "store", root=intrusion[0])
    (study,) = plan.studies
    assert study.data[0].file == str(tmp_path / "store" / "deepad-97278.parquet")
    assert pl.read_parquet(study.data[0].file).height == 12
    assert plan.missing == ()


def test_the_one_class_svm_of_deepad_is_reproduced_to_four_decimals(tmp_path):
    try:
        for name in ("kddcup99-10", "deepad"):
            load_dataset(name)
    except DatasetError as error:
        pytest.skip(f"needs the real rows: {error}")
    (study,) = reproduce.plan_table("deepad", folder=tmp_path).studies
    (cell, *_) = [cell for cell in study.cells if cell.detector.title == "one-class-svm, published"]
    (outcome,) = run_block([cell])
    assert outcome.error == ""
    assert (outcome.n_train, outcome.n_test) == (97278, 10000)
    assert outcome.figures["auroc"] == pytest.approx(0.9577, abs=5e-5)
    assert outcome.figures["best_f1_on_test"] == pytest.approx(0.868, abs=5e-4)

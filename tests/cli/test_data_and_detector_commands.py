import numpy as np
import polars as pl
import pytest

from whitecrow.cli.detectors import card
from whitecrow.cli.docstrings import parameter_texts, plain_text
from whitecrow.core import parameters, registry
from whitecrow.data import dataset_names, read_table, simulate_traffic


def test_simulated_files_are_those_of_the_simulator(run, tmp_path):
    out = tmp_path / "t.parquet"
    words = ("data", "simulate", "--rows", "300", "--attack-rate", "0.1", "--seed", "5", "-o", out, "--json")
    document = run(*words).document
    data = simulate_traffic(rows=300, attack_rate=0.1, seed=5)
    table = read_table(out)
    assert table.drop("label").equals(data.X)
    assert table["label"].to_list() == data.families.tolist()
    assert document["synthetic"] is True
    assert sum(document["labels"].values()) == 300


def test_a_data_set_that_needs_no_download_is_not_downloaded(run):
    assert run("data", "fetch", "digits", "--json").document["downloaded"] is False


def test_every_data_set_is_listed(run):
    listed = [item["name"] for item in run("data", "list", "--json").document["datasets"]]
    assert listed == dataset_names()


@pytest.fixture
def odd_file(tmp_path):
    rng = np.random.default_rng(0)
    n = 400
    y = rng.random(n) < 0.2
    path = tmp_path / "odd.parquet"
    pl.DataFrame(
        {
            "id": [f"row-{k}" for k in range(n)],
            "counter": np.arange(n),
            "measured": rng.normal(size=n),
            "constant": ["x"] * n,
            "empty": pl.Series([None] * n, dtype=pl.Float64),
            "leak": np.where(y, 5.0, 0.0) + rng.normal(size=n) * 0.1,
            "text_leak": np.where(y, "bad", "good"),
            "weak": y + rng.normal(size=n),
            "word": rng.choice(list("abc"), n),
            "label": np.where(y, "attack", "normal"),
        }
    ).write_parquet(path)
    return path


def test_columns_that_would_mislead_are_pointed_out(run, odd_file):
    found = {c["name"]: c for c in run("data", "describe", odd_file, "--label", "label", "--json").document["columns"]}
    said = {name: " ".join(column["warnings"]) for name, column in found.items()}
    assert "identifier" in said["id"]
    assert "identifier" in said["counter"]
    assert "constant" in said["constant"]
    assert "empty" in said["empty"]
    assert "tells the label" in said["leak"]
    assert "tells the label" in said["text_leak"]
    assert [name for name, text in said.items() if not text] == ["measured", "weak", "word", "label"]
    assert found["empty"]["missing"] == 1.0
    assert found["word"]["distinct"] == 3


def test_without_a_label_no_leak_is_claimed(run, odd_file):
    found = run("data", "describe", odd_file, "--json").document["columns"]
    assert not any("label" in text for column in found for text in column["warnings"])


def test_every_detector_is_listed(run):
    listed = run("detectors", "list", "--json").document["detectors"]
    assert [item["name"] for item in listed] == registry.names()
    assert {item["class"] for item in listed} == set(registry.class_names())


def test_every_detector_says_where_it_comes_from_and_what_it_takes(run):
    for about in run("detectors", "list", "--json").document["detectors"]:
        assert about["summary"]
        assert 1900 < about["year"] < 2100
        assert len(about["paper"]) > len("A, 2000")
        assert str(about["year"]) in about["paper"]
        assert about["regime"] in {"contaminated", "clean", "labelled"}
        assert about["labels"] in {"no", "uses", "needs"}
        assert (about["labels"] == "needs") <= (about["regime"] == "labelled")
        assert about["cost"] in {"low", "medium", "high"}


def test_the_list_is_a_table_of_papers_regimes_labels_and_costs(run):
    head, _, *rows = (" ".join(line.split()) for line in run("detectors", "list").out.strip().splitlines())
    assert head == "Name Paper Regime Labels Cost"
    assert "isolation-forest Liu et al., ICDM 2008 contaminated no low" in rows


def test_no_meaning_shows_marks_of_its_source():
    for name in registry.names():
        for parameter, text in parameter_texts(registry.load(name)).items():
            assert not set("\\`") & set(text), (name, parameter, text)


def test_a_description_says_all_that_the_list_says(run):
    listed = {item["name"]: item for item in run("detectors", "list", "--json").document["detectors"]}
    described = run("detectors", "describe", "vae", "--json").document
    assert {key: described[key] for key in listed["vae"]} == listed["vae"]
    assert {"parameters", "schema"} <= described.keys()


def test_a_description_reads_like_a_card(run):
    text = " ".join(run("detectors", "describe", "lof").out.split())
    assert "lof (LOF): Compare the density around a row" in text
    assert "Paper Breunig et al., SIGMOD 2000" in text
    assert "table data, training rows of which some may be anomalous" in text
    assert "Labels not used" in text
    assert "Cost low" in text
    assert "contamination 0.05" in text
    assert "Must be a number from 0 to 0.5." in text


@pytest.mark.parametrize(
    ("uses", "needs", "said"), [(False, False, "no"), (True, False, "uses"), (True, True, "needs")]
)
def test_a_card_says_whether_labels_are_needed(monkeypatch, uses, needs, said):
    class Odd(registry.load("lof")):
        """Find odd ``rows``.

        More of it.
        """

        uses_labels, needs_labels, paper, year = uses, needs, "Nobody et al.", 1999

    monkeypatch.setattr(registry, "load", lambda name: Odd)
    about = card("odd")
    assert about["labels"] == said
    assert about["paper"] == "Nobody et al., 1999"
    assert about["summary"] == "Find odd rows."


@pytest.mark.parametrize("name", registry.names())
def test_every_parameter_of_every_detector_is_described(run, name):
    document = run("detectors", "describe", name, "--json").document
    assert document["summary"]
    described = {parameter["name"]: parameter for parameter in document["parameters"]}
    assert set(described) == set(parameters.fields(registry.load(name)))
    assert [n for n, parameter in described.items() if not parameter["meaning"]] == []


def test_parameter_texts_come_from_the_class_and_its_bases():
    class Base:
        """A base.

        Parameters
        ----------
        width : int, default=3
            How *wide* it is, see :class:`~a.b.C`.
        colour, shade : str
            Of the ``thing``.

        Attributes
        ----------
        size_ : int
            Nothing of this.
        """

    class Child(Base):
        """A child.

        Parameters
        ----------
        width : int
            How wide the child is.
        """

    texts = parameter_texts(Child)
    assert texts == {"width": "How wide the child is.", "colour": "Of the thing.", "shade": "Of the thing."}
    assert parameter_texts(Base)["width"] == "How wide it is, see C."


def test_marks_are_taken_out_of_text():
    assert plain_text("a ``b`` :func:`~x.y.z` *c*\n  d * e") == "a b z c d * e"

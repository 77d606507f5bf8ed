"""The default detector: one rule for all data."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import whitecrow as wc
from whitecrow.core.errors import ModelFileError
from whitecrow.detectors.tabular import auto
from whitecrow.metrics import auroc


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(300, 4)), rng.normal(size=(300, 4)) * 0.3 + 4])


@pytest.mark.parametrize("budget", ["fast", "balanced"])
def test_members_follow_from_regime_and_budget(rows: np.ndarray, budget: str) -> None:
    few, unlabelled = rows[::10], np.full(60, -1)
    for regime in ("clean", "contaminated", "labelled"):
        detector = wc.Auto(regime=regime, budget=budget, random_state=0).fit(few, unlabelled)
        rule = auto._CONTAMINATED if regime == "contaminated" else auto._CLEAN
        assert set(detector.members_) == set(rule[budget])


def test_every_rule_names_members_that_can_be_made() -> None:
    rules = [*auto._CLEAN.values(), *auto._CONTAMINATED.values()]
    named = {name for rule in rules for name in rule} | {"taught", "rebuilt"}
    assert named == set(auto._MEMBERS)
    for name in named:
        assert "table" in wc.Auto().member(name).kinds


def test_autoencoder_joins_where_there_are_categories(rows: np.ndarray) -> None:
    table = pl.DataFrame(rows[::10]).with_columns(kind=pl.Series(["a", "b", "c"] * 20))
    assert "rebuilt" in wc.Auto(random_state=0).fit(table).members_
    assert "rebuilt" not in wc.Auto(random_state=0, budget="fast").fit(table).members_


def test_wide_tables_do_without_covariances() -> None:
    wide = np.random.default_rng(0).normal(size=(40, 501))
    for regime in ("clean", "contaminated"):
        members = wc.Auto(regime=regime, random_state=0).fit(wide).members_
        assert members
        assert not members.keys() & {"mixture", "mixture_quick", "pair"}


def test_rows_of_neither_cluster_stand_out(rows: np.ndarray) -> None:
    new = np.random.default_rng(1).normal(size=(300, 4))
    far = np.random.default_rng(2).uniform(-8, 8, size=(300, 4))
    for regime in ("clean", "contaminated"):
        detector = wc.Auto(regime=regime, random_state=0).fit(rows)
        scores = detector.anomaly_score(np.concatenate([new, far]))
        assert auroc(np.repeat([0, 1], 300), scores) > 0.95


def test_group_of_equal_anomalies_in_training_is_found(rows: np.ndarray) -> None:
    # 30 copies of one row: for the five nearest neighbours it is as usual as can be.
    given = np.concatenate([rows, np.tile([2.0, -9.0, 9.0, -9.0], (30, 1))])
    detector = wc.Auto(random_state=0, contamination=0.05).fit(given)
    assert detector.is_anomaly(given[-1:]).all()
    assert not wc.KNN(random_state=0, contamination=0.05, calibration=0).fit(given).is_anomaly(given[-1:]).any()


def test_known_anomalies_are_used_where_that_helps(rows: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    # Between the clusters, where a density says little; half of them are known.
    odd = rng.normal(size=(80, 4)) * 0.4 + [2.0, 0.5, 2.0, 0.5]
    y = np.repeat([-1, 1], [len(rows), 40])
    taught = wc.Auto(regime="labelled", random_state=0).fit(np.concatenate([rows, odd[:40]]), y)
    assert taught.label_gain_ is not None
    without, gained = taught.label_gain_
    assert gained > without
    assert "taught" in taught.members_
    test, labels = np.concatenate([rng.normal(size=(300, 4)), odd[40:]]), np.repeat([0, 1], [300, 40])
    untaught = wc.Auto(regime="clean", random_state=0).fit(rows)
    assert auroc(labels, taught.anomaly_score(test)) > auroc(labels, untaught.anomaly_score(test))


def test_member_that_does_not_help_is_left_out(rows: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    # What is labelled is like the normal rows: there is nothing to be learnt from it.
    y = np.repeat([-1, 1], [len(rows), 20])
    detector = wc.Auto(regime="labelled", random_state=0).fit(np.concatenate([rows, rng.normal(size=(20, 4))]), y)
    without, gained = detector.label_gain_ or (0.0, 0.0)
    assert ("taught" in detector.members_) == (gained > without)


def test_a_few_known_anomalies_are_too_few_to_tell(rows: np.ndarray) -> None:
    y = np.repeat([-1, 1], [len(rows) - 4, 4])
    detector = wc.Auto(regime="labelled", random_state=0).fit(rows, y)
    assert detector.label_gain_ is None
    assert "taught" not in detector.members_


def test_model_file_with_an_unknown_member_is_refused(
    rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wc.Auto(random_state=0).fit(rows).save(tmp_path / "auto.safetensors")
    monkeypatch.delitem(auto._MEMBERS, "pair")
    with pytest.raises(ModelFileError, match="'pair', which this version does not know"):
        wc.load(tmp_path / "auto.safetensors")

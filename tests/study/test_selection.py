import json
import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import roc_auc_score

import whitecrow as wc
from whitecrow.core.errors import DataError, ParameterError, TrainingError, UnknownNameError
from whitecrow.study.selection import CANDIDATES, DEFAULT, MARGIN, select
from whitecrow.study.selection import selection as module
from whitecrow.study.selection.synthetic import KINDS

FAST = ("pca", "knn", "one-class-svm")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal(np.zeros(4), 0.8 + 0.2 * np.eye(4), 300)
    kinds = rng.choice(["a", "b"], 300)
    return pl.DataFrame({**{f"x{j}": X[:, j] for j in range(4)}, "kind": kinds})


@pytest.fixture(scope="module")
def found(table):
    return select(table, detectors=FAST, n_repetitions=3)


def test_every_candidate_is_measured_in_every_repetition(found):
    assert sorted(c.detector for c in found.candidates) == sorted(FAST)
    for candidate in found.candidates:
        assert len(candidate.repetitions) == 3
        assert set(candidate.auroc) == set(KINDS)
        for kind in KINDS:
            values = [one[kind] for one in candidate.repetitions]
            assert candidate.auroc[kind] == pytest.approx(np.mean(values))
            assert all(0 <= value <= 1 for value in values)
        assert -1 <= candidate.stability <= 1
        assert 0 <= candidate.overlap <= 1
        assert candidate.seconds > 0
    assert (found.n_rows, found.n_compared, found.n_repetitions, found.n_asked) == (300, 300, 3, 3)
    assert sum(c.wins for c in found.candidates) == pytest.approx(1)


def test_the_merit_is_the_rank_in_stability_and_consensus(found):
    expected = sum(rankdata([getattr(c, name) for c in found.candidates]) for name in ("stability", "consensus"))
    assert [c.merit for c in found.candidates] == pytest.approx(list(expected))
    assert found.candidates[0].detector == found.leader
    assert found.candidates[0].merit == max(expected)
    assert found.recommended in found.rivals


@pytest.mark.parametrize(("lead", "expected"), [(MARGIN + 0.02, "pca"), (MARGIN - 0.02, DEFAULT)])
def test_the_default_is_kept_unless_the_leader_exceeds_its_consensus_by_the_margin(table, monkeypatch, lead, expected):
    def measures(scores, n_real):
        for name in scores:
            better = name != DEFAULT
            yield name, {
                **dict.fromkeys((*KINDS, "overlap"), 0.5), "stability": 0.9 + 0.05 * better,
                "consensus": 0.6 + lead * better,
            }  # fmt: skip

    monkeypatch.setattr(module, "_measures", measures)
    got = select(table, detectors=("pca", DEFAULT), n_repetitions=2)
    assert (got.recommended, got.leader, got.rivals) == (expected, "pca", (expected,))
    assert "100 % of the resampled repetitions say the same" in str(got)
    assert ("is kept: pca leads" in str(got)) == (expected == DEFAULT)


def test_figures_are_those_of_scipy_and_scikit_learn():
    rng = np.random.default_rng(1)
    scores = {name: rng.random((2, 40 + 4 * 12)).round(1) for name in ("a", "b", "c")}
    got = dict(module._measures(scores, 40))["a"]
    real = scores["a"][:, :40]
    for i, kind in enumerate(KINDS):
        part = scores["a"][:, 40 + 12 * i : 52 + 12 * i]
        y = np.repeat([0, 1], [40, 12])
        assert got[kind] == pytest.approx(np.mean([roc_auc_score(y, np.r_[real[f], part[f]]) for f in (0, 1)]))
    assert got["stability"] == pytest.approx(spearmanr(*real)[0])
    ranks = {name: np.mean([rankdata(one[:40]) for one in both], axis=0) for name, both in scores.items()}
    assert got["consensus"] == pytest.approx(spearmanr(ranks["a"], (ranks["b"] + ranks["c"]) / 2)[0])


def test_identical_fits_agree_entirely_and_constant_scores_with_nothing():
    same = np.tile(np.arange(60.0), (2, 1))
    got = dict(module._measures({"same": same, "flat": np.zeros((2, 60))}, 40))
    assert (got["same"]["stability"], got["same"]["overlap"]) == pytest.approx((1, 1))
    assert (got["flat"]["stability"], got["flat"]["consensus"], got["flat"]["local"]) == (0, 0, 0.5)


def test_no_row_is_scored_by_a_fit_that_saw_it(table, monkeypatch):
    fitted, scored = [], []
    cls = type(wc.detector("pca"))
    fit, score = cls.fit, cls.anomaly_score
    monkeypatch.setattr(cls, "fit", lambda self, X, y=None: fitted.append({r.tobytes() for r in X}) or fit(self, X, y))
    monkeypatch.setattr(cls, "anomaly_score", lambda self, X: scored.append([r.tobytes() for r in X]) or score(self, X))
    select(table, detectors=["pca"], n_repetitions=2)
    assert len(fitted) == 4
    for first in (0, 2):
        a, b = fitted[first : first + 2]
        assert len(a) == len(b) == 120
        assert not a & b
        held_out = set(scored[first][:60])
        assert len(held_out) == 60
        assert not held_out & (a | b)


def test_rows_out_of_step_are_seen_where_correlation_is_modelled(found):
    assert all(c.auroc["dependency"] > 0.75 for c in found.candidates if c.detector in ("pca", "knn"))
    X = np.random.default_rng(0).normal(size=(300, 4))
    independent = select(X, detectors=["pca"], n_repetitions=3)
    # Where nothing ties the columns, rows of resampled columns are like all others.
    assert independent.candidates[0].auroc["dependency"] == pytest.approx(0.5, abs=0.1)


def test_the_same_seed_gives_the_same_and_leaves_the_global_generators_alone(table):
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - it must not move
    first, again = (select(table, detectors=("pca", "knn"), n_repetitions=2, seed=5) for _ in range(2))
    for a, b in zip(first.candidates, again.candidates, strict=True):
        assert (a.detector, a.repetitions) == (b.detector, b.repetitions)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    other = select(table, detectors=("pca", "knn"), n_repetitions=2, seed=6)
    assert other.candidates[0].repetitions != first.candidates[0].repetitions


def test_more_rows_than_the_cap_are_sampled(table):
    got = select(table, detectors=["pca"], n_repetitions=1, max_rows=100)
    assert (got.n_rows, got.n_compared) == (300, 100)
    assert "only candidate" in str(got)


def test_arrays_are_taken_too():
    assert select(np.random.default_rng(0).normal(size=(80, 3)), detectors=["pca", "knn"], n_repetitions=2).leader


def test_a_spent_budget_leaves_out_what_had_no_turn(table, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    got = select(table, detectors=FAST, n_repetitions=5, budget=1.0)
    assert [c.detector for c in got.candidates] == ["pca"]
    assert set(got.left_out) == {"knn", "one-class-svm"}
    assert all("budget" in reason for reason in got.left_out.values())
    assert got.n_repetitions == 1


def test_a_repetition_cut_short_by_the_budget_is_not_used(table, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    # Each turn reads the clock three times, so seven readings pass in the first repetition and a part of the second.
    got = select(table, detectors=("pca", "knn"), n_repetitions=5, budget=9.0)
    assert len(got.candidates) == 2
    assert not got.left_out
    assert got.n_repetitions == 1


def test_a_candidate_that_fails_is_left_out_with_the_reason(table, monkeypatch):
    def fail(self, X, y=None):
        raise TrainingError("It diverged.")

    monkeypatch.setattr(type(wc.detector("lof")), "fit", fail)
    got = select(table, detectors=("lof", "pca", "knn"), n_repetitions=2)
    assert got.left_out == {"lof": "It diverged."}
    assert {c.detector for c in got.candidates} == {"pca", "knn"}
    with pytest.raises(DataError, match="lof: It diverged"):
        select(table, detectors=["lof"])


def test_progress_goes_from_0_to_below_1(table):
    told = []
    select(table, detectors=("pca", "knn"), n_repetitions=2, follow=lambda name, done: told.append((name, done)))
    assert told == [("pca", 0), ("knn", 0.25), ("pca", 0.5), ("knn", 0.75)]


def test_one_repetition_takes_the_default_and_says_so(table):
    got = select(table, detectors=(DEFAULT, "pca"), n_repetitions=1)
    assert got.recommended == DEFAULT
    assert "one repetition cannot tell it apart from pca" in str(got)
    assert math.isnan(got.candidates[0].wins)


def test_the_document_is_json_and_says_what_the_text_says(found):
    document = json.loads(json.dumps(found.to_dict()))
    assert document["recommended"] == found.recommended
    assert document["sentence"] == str(found)
    assert document["evidence"]["found"] is found.evidence.found


def test_the_default_candidates_exist_and_need_no_labels():
    assert DEFAULT in CANDIDATES
    assert set(CANDIDATES) <= set(wc.detectors("table"))
    assert not any(wc.detector(name).needs_labels for name in CANDIDATES)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"detectors": []}, "at least one"),
        ({"detectors": "pca"}, "registry names"),
        ({"detectors": ["pca", "pca"]}, "each once"),
        ({"detectors": ["devnet"]}, "known anomalies"),
        ({"n_repetitions": 0}, "at least 1"),
        ({"max_rows": 10}, "at least 50"),
        ({"budget": 0.0}, "greater than 0"),
        ({"seed": -1}, "at least 0"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(settings, said):
    with pytest.raises(ParameterError, match=said):
        select("no table, so any work would fail otherwise", **settings)


def test_unknown_detectors_and_too_few_rows_are_refused():
    with pytest.raises(UnknownNameError):
        select(np.zeros((100, 2)), detectors=["pcaa"])
    with pytest.raises(DataError, match="49 rows are too few"):
        select(np.zeros((49, 2)))

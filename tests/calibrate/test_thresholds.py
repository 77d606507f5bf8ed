"""Threshold rules: what they promise on ties, on known laws, on labels, and as JSON."""

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from whitecrow import calibrate
from whitecrow.calibrate import BestF1, CostBased, PeaksOverThreshold, Quantile, Threshold
from whitecrow.core.errors import DataError, ModelFileError, ParameterError, WhitecrowWarning

RULES = [
    Quantile(0.05),
    Quantile(0),
    PeaksOverThreshold(risk=1e-4, level=0.95),
    CostBased(10, 1),
    CostBased(10, 1, prevalence=0.01),
    BestF1(),
]
tied_scores = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=60).map(np.array)


@settings(deadline=None, max_examples=200)
@given(tied_scores, st.floats(0, 0.5))
def test_quantile_never_flags_more_than_the_share_and_no_lower_threshold_would_do(scores, share):
    threshold = Quantile(share).fit(scores)
    assert np.mean(scores > threshold) <= share
    lower = scores[scores < threshold]
    between = (threshold + lower.max()) / 2 if lower.size else threshold - 1
    assert np.mean(scores > between) > share


@pytest.mark.parametrize("percent", range(51))
def test_quantile_of_distinct_scores_flags_exactly_the_share(percent):
    # 0.29 * 100 is 28.999999999999996 and 0.07 * 100 is 7.000000000000001.
    scores = np.random.default_rng(0).permutation(100).astype(float)
    assert np.count_nonzero(scores > Quantile(percent / 100).fit(scores)) == percent


def test_quantile_of_no_contamination_is_the_highest_score():
    assert Quantile(0).fit([3.0, 1.0, 2.0]) == 3.0


def test_quantile_of_constant_scores_flags_nothing():
    assert Quantile(0.1).fit(np.full(30, 2.5)) == 2.5


@pytest.mark.parametrize("n", [1, 2, 3])
def test_quantile_of_a_handful_of_scores_is_one_of_them(n):
    assert Quantile(0.05).fit(np.arange(n)) == n - 1


@pytest.mark.parametrize(
    "law",
    [
        stats.expon(),
        stats.norm(),
        stats.genpareto(0.2),
        stats.genpareto(-0.3),
        stats.uniform(),
        stats.chi2(5),
        stats.gumbel_r(),
        stats.expon(scale=1e-9),
        stats.norm(loc=1e6),
    ],
    ids=["exponential", "normal", "pareto", "bounded", "uniform", "chi2", "gumbel", "tiny", "offset"],
)
def test_peaks_over_threshold_is_close_to_the_true_quantile(law):
    rule = PeaksOverThreshold(risk=1e-4)
    found = [rule.fit(law.rvs(5000, random_state=seed)) for seed in range(20)]
    # Only half a row of 5,000 is expected above. The tail is scaled by its own width.
    start, truth = law.isf([0.02, 1e-4])
    assert np.median(found) - start == pytest.approx(truth - start, rel=0.2)


def test_peaks_over_threshold_has_the_promised_risk_on_average():
    law = stats.gamma(2)
    risks = [law.sf(PeaksOverThreshold(risk=1e-3).fit(law.rvs(3000, random_state=s))) for s in range(60)]
    assert np.mean(risks) == pytest.approx(1e-3, rel=0.3)


def test_peaks_over_threshold_beats_the_maximum_of_a_small_sample():
    law, risk = stats.expon(), 1e-4
    samples = [law.rvs(1000, random_state=s) for s in range(50)]
    fitted = [PeaksOverThreshold(risk=risk, level=0.9).fit(s) for s in samples]
    errors = np.abs(np.array(fitted) - law.isf(risk))
    assert np.median(errors) < np.median([abs(s.max() - law.isf(risk)) for s in samples])


def test_lower_risk_never_lowers_the_threshold():
    scores = stats.norm.rvs(size=2000, random_state=0)
    found = [PeaksOverThreshold(risk=risk).fit(scores) for risk in np.geomspace(1e-2, 1e-9, 15)]
    assert np.all(np.diff(found) >= 0)
    assert found[0] >= Quantile(0.02).fit(scores)


@pytest.mark.parametrize("scores", [np.ones(500), np.arange(50.0), np.repeat([1.0, 2.0, 3.0], 400)])
def test_too_poor_a_tail_falls_back_to_the_quantile_and_says_so(scores):
    with pytest.warns(WhitecrowWarning, match="empirical quantile"):
        assert PeaksOverThreshold().fit(scores) == Quantile(1e-3).fit(scores)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.one_of(st.integers(-5, 5).map(float), st.floats(-1e308, 1e308), st.floats(0, 1e-300)),
        min_size=1,
        max_size=80,
    ),
    st.sampled_from([1e-9, 1e-3, 0.05]),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_peaks_over_threshold_is_finite_on_any_finite_scores(scores, risk, level):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhitecrowWarning)
        threshold = PeaksOverThreshold(risk=risk, level=level).fit(scores)
    assert math.isfinite(threshold)
    assert threshold >= Quantile(min(0.5, 1 - level)).fit(scores) or level < 0.5


def labelled(n=300, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    return np.round(rng.normal(size=n) + 1.2 * y, 1), y


def every_threshold(scores):
    return [scores.min() - 1, *np.unique(scores)]


@pytest.mark.parametrize("prevalence", [None, 0.001, 0.05, 0.9])
def test_cost_based_threshold_has_the_lowest_cost_of_all(prevalence):
    scores, y = labelled()
    pi = y.mean() if prevalence is None else prevalence

    def cost(threshold):
        flags = scores > threshold
        return pi * 10 * np.mean(~flags[y == 1]) + (1 - pi) * 2 * np.mean(flags[y == 0])

    fitted = CostBased(10, 2, prevalence).fit(scores, y)
    assert cost(fitted) == pytest.approx(min(map(cost, every_threshold(scores))))


def test_rarer_anomalies_raise_the_cost_based_threshold():
    scores, y = labelled()
    found = [CostBased(10, 1, pi).fit(scores, y) for pi in (0.9, 0.3, 0.05, 0.001)]
    assert np.all(np.diff(found) >= 0)
    assert not np.any(scores[y == 0] > found[-1])


def test_free_false_alarms_flag_every_anomaly_and_free_misses_flag_nothing():
    scores, y = labelled()
    assert np.all(scores[y == 1] > CostBased(1, 0).fit(scores, y))
    assert not np.any(scores > CostBased(0, 1).fit(scores, y))


def test_best_f1_threshold_has_the_highest_f1_of_all():
    scores, y = labelled()
    fitted = BestF1().fit(scores, y)
    assert f1_score(y, scores > fitted) == max(f1_score(y, scores > t) for t in every_threshold(scores)[:-1])


def test_best_f1_of_useless_scores_flags_everything_also_in_single_precision():
    scores = np.full(10, 1e6, dtype=np.float32)
    assert np.all(scores > np.float32(BestF1().fit(scores, [0, 1] * 5)))


@pytest.mark.parametrize("rule", [CostBased(1, 1), BestF1()])
def test_rules_on_labels_need_labels_of_both_classes(rule):
    assert rule.needs_labels
    for y, said in [
        (None, "no labels"),
        ([0, 0, 0], "at least one of each"),
        ([0, 1], "3 scores and 2 labels"),
        ([0, 1, -1], "the labels are -1"),
    ]:
        with pytest.raises(DataError, match=said):
            rule.fit([1.0, 2.0, 3.0], y)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("scores", [[], [1.0, math.nan, 2.0], [1.0, math.inf, 2.0], [["a"]], ["a", "b", "c"]])
def test_unusable_scores_are_a_data_error(rule, scores):
    with pytest.raises(DataError, match="scores: "):
        rule.fit(scores, [0, 1, 1])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_survives_json(rule):
    document = json.loads(json.dumps(rule.to_dict(), allow_nan=False))
    assert calibrate.threshold_from_dict(document) == rule
    assert type(rule).from_dict(document) == rule


def test_numpy_settings_become_plain_numbers():
    share: Any = np.float32(0.25)
    assert json.dumps(Quantile(share).to_dict()) == '{"rule": "quantile", "contamination": 0.25}'


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "quantile",
        {},
        {"rule": None},
        {"rule": ["quantile"]},
        {"rule": "os.system", "contamination": 0.1},
        {"rule": "x" * 10_000},
        {"rule": "quantile"},
        {"rule": "quantile", "contamination": "0.1"},
        {"rule": "quantile", "contamination": None},
        {"rule": "quantile", "contamination": True},
        {"rule": "quantile", "contamination": math.nan},
        {"rule": "quantile", "contamination": 10**400},
        {"rule": "quantile", "contamination": 0.6},
        {"rule": "quantile", "contamination": 0.1, "__class__": "x"},
        {"rule": "quantile", "contamination": 0.1, 3: 4},
        {"rule": "peaks-over-threshold", "risk": 0.5, "level": 0.98},
        {"rule": "cost-based", "cost_miss": 1e999, "cost_false_alarm": 1, "prevalence": None},
        {"rule": "cost-based", "cost_miss": 0, "cost_false_alarm": 0, "prevalence": None},
        {"rule": "best-f1", "contamination": 0.1},
    ],
    ids=lambda document: str(document)[:50],
)
def test_hostile_document_is_a_model_file_error(document):
    with pytest.raises(ModelFileError) as caught:
        calibrate.threshold_from_dict(document)
    assert len(str(caught.value)) < 1000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(RULES),
    st.sampled_from(["rule", "contamination", "risk", "level", "cost_miss", "prevalence"]),
    json_values,
)
def test_document_with_one_field_replaced_is_read_or_refused(rule, field, value):
    document = {**rule.to_dict(), field: value}
    try:
        read = calibrate.threshold_from_dict(document)
    except ModelFileError:
        return
    assert isinstance(read, Threshold)
    json.dumps(read.to_dict(), allow_nan=False)


def test_reading_a_rule_as_another_class_is_refused():
    with pytest.raises(ModelFileError, match="'best-f1'; accepted here is 'quantile'"):
        Quantile.from_dict(BestF1().to_dict())


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Quantile(0.9), "fit on the other class"),
        (lambda: Quantile(-0.1), "from 0 to 0.5"),
        (lambda: PeaksOverThreshold(risk=0), "risk must be"),
        (lambda: PeaksOverThreshold(risk=0.05), "below 1 - level"),
        (lambda: CostBased(-1, 1), "cost_miss must be"),
        (lambda: CostBased(1, 1, prevalence=0), "prevalence must be"),
        (lambda: CostBased(0, 0), "at least one cost"),
    ],
)
def test_setting_out_of_range_is_a_parameter_error(build, said):
    with pytest.raises(ParameterError, match=said):
        build()


def test_source_says_what_the_threshold_means():
    assert Quantile(0.05).source == "at most 5 % of the scores it was fitted on lie above"
    assert "none of them lies above" in Quantile(0).source
    assert "probability 0.0001" in PeaksOverThreshold(risk=1e-4).source
    assert "a miss costs 10" in CostBased(10, 1).source
    assert "optimistic" in BestF1().source

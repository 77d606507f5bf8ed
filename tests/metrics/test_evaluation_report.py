"""The evaluation report: figures recomputed from the scores and the displayed threshold, JSON, notes."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from whitecrow import metrics
from whitecrow.core.errors import DataError
from whitecrow.metrics.curves import thin

SOURCE = "at most 5 % of the scores it was fitted on lie above"


def table(n=2000, share=0.1, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    return y, np.exp(rng.normal(size=n) + 2 * y)


def report(y, scores, threshold=4.0, n_resamples=100, **options):
    return metrics.evaluation_report(y, scores, threshold, threshold_source=SOURCE, n_resamples=n_resamples, **options)


def test_displayed_figures_are_those_of_the_scores_and_the_displayed_threshold():
    y, scores = table()
    found = report(y, scores)
    flags = scores > found.threshold
    value = {name: figure.value for name, figure in found.metrics.items()}
    assert value["auroc"] == pytest.approx(sk.roc_auc_score(y, scores))
    assert value["average_precision"] == pytest.approx(sk.average_precision_score(y, scores))
    assert value["precision"] == pytest.approx(sk.precision_score(y, flags))
    assert value["recall"] == pytest.approx(sk.recall_score(y, flags))
    assert value["operational_f1"] == pytest.approx(sk.f1_score(y, flags))
    assert value["f2"] == pytest.approx(sk.fbeta_score(y, flags, beta=2))
    assert value["accuracy"] == pytest.approx(sk.accuracy_score(y, flags))
    assert value["alert_rate"] == pytest.approx(flags.mean())
    assert value["false_positive_rate"] == pytest.approx(flags[y == 0].mean())
    assert value["f1_at_known_ratio"] == metrics.f1_at_known_ratio(y, scores).f1
    assert value["best_f1"] == pytest.approx(metrics.best_f1(y, scores).f1)
    assert tuple(found.confusion) == tuple(sk.confusion_matrix(y, flags).ravel())


def test_every_figure_lies_in_its_interval():
    for figure in report(*table(), n_resamples=300, costs=metrics.Costs(10, 1)).metrics.values():
        assert figure.low <= figure.value <= figure.high
        assert figure.low < figure.high


def test_shares_have_the_interval_of_the_rows_they_are_a_share_of():
    y, scores = table()
    flags = scores > 4.0
    found = report(y, scores).metrics
    for name, hits, n in [
        ("precision", (y & flags).sum(), flags.sum()),
        ("recall", (y & flags).sum(), y.sum()),
        ("false_positive_rate", ((1 - y) & flags).sum(), (1 - y).sum()),
    ]:
        reference = stats.binomtest(int(hits), int(n)).proportion_ci(method="wilson")
        assert (found[name].low, found[name].high) == pytest.approx(tuple(reference), abs=1e-9)


def test_copies_of_rows_do_not_narrow_any_interval_by_groups():
    y, scores = table(300)
    copies = np.repeat(np.arange(300), 20)
    once, grouped = report(y, scores).metrics, report(y[copies], scores[copies], groups=copies).metrics
    for name, figure in once.items():
        assert grouped[name] == pytest.approx(figure, abs=1e-9)


def test_resampled_figures_are_those_of_resampled_rows():
    y, scores = table(400)
    found = report(y, scores).metrics
    slow = {
        "operational_f1": lambda a, s: sk.f1_score(a, s > 4.0),
        "f2": lambda a, s: sk.fbeta_score(a, s > 4.0, beta=2),
        "best_f1": lambda a, s: metrics.best_f1(a, s).f1,
        "auroc": sk.roc_auc_score,
    }
    for name, metric in slow.items():
        assert found[name] == pytest.approx(metrics.bootstrap_interval(metric, y, scores, n_resamples=100), abs=1e-12)


def test_best_f1_is_never_below_the_honest_ones():
    value = {name: figure.value for name, figure in report(*table()).metrics.items()}
    assert value["best_f1"] >= max(value["f1_at_known_ratio"], value["operational_f1"])


def test_document_is_strict_json_and_complete():
    y, scores = table(300)
    families = np.where(y == 1, "scan", "")
    found = report(y, scores, families=families, costs=metrics.Costs(10, 1), groups=np.arange(300) // 2)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["threshold_source"] == SOURCE
    assert set(document["confusion"]) == {"tn", "fp", "fn", "tp"}
    assert set(document["metrics"]["auroc"]) == {"value", "low", "high"}
    assert document["n_distinct_rows"] == 150
    assert sum(document["histogram"]["normals"]) == document["n"] - document["n_anomalies"]
    assert len(document["cost"]["curve"]["costs"]) == len(document["cost"]["curve"]["thresholds"])


def test_same_seed_gives_the_same_report():
    y, scores = table(300)
    assert report(y, scores, seed=3).to_dict() == report(y, scores, seed=3).to_dict()


def test_families_come_worst_first_with_the_rows_behind_each():
    y = np.array([0] * 50 + [1] * 10)
    scores = np.r_[np.linspace(0, 1, 50), [9.0] * 6, [0.5] * 3, [9.0]]
    names = ["normal"] * 50 + ["flood"] * 6 + ["exfiltration"] * 3 + [None]
    found = report(y, scores, threshold=2.0, families=names).families
    assert [(row.family, row.n, row.n_flagged, row.recall.value) for row in found] == [
        ("exfiltration", 3, 0, 0.0),
        ("(not named)", 1, 1, 1.0),
        ("flood", 6, 6, 1.0),
    ]
    assert found[0].recall.high > 0.4
    assert found[0].auroc == pytest.approx(np.mean(scores[:50] < 0.5))


def test_a_blind_family_is_noted():
    y = np.array([0] * 50 + [1] * 4)
    notes = report(y, np.r_[np.linspace(0, 1, 54)], threshold=0.95, families=["a"] * 51 + ["b"] * 3).notes
    assert any("Not one row is flagged of: a." in note for note in notes)
    assert any("only 4 anomalies" in note for note in notes)


def test_constant_inverted_and_silent_scores_are_noted():
    y, scores = table(400)
    assert any("All scores are equal" in note for note in report(y, np.ones(400)).notes)
    assert any("Only 2 distinct scores" in note for note in report(y, scores > 1).notes)
    assert any("below 0.5" in note for note in report(y, -scores).notes)
    assert any("Nothing is flagged" in note for note in report(y, scores, threshold=1e9).notes)
    assert any("Every row is flagged" in note for note in report(y, scores, threshold=-1e9).notes)


def test_a_sound_table_has_no_notes():
    assert report(*table()).notes == ()


def test_cost_compares_the_threshold_with_the_rules_that_need_no_detector():
    y, scores = table()
    cost = report(y, scores, costs=metrics.Costs(miss=20, false_alarm=1)).cost
    assert cost is not None
    flags = scores > 4.0
    assert cost.at_threshold.value == pytest.approx(np.mean(20 * (y & ~flags) + ((1 - y) & flags)))
    assert cost.flag_nothing == pytest.approx(20 * y.mean())
    assert cost.flag_everything == pytest.approx(1 - y.mean())
    assert cost.minimum.value <= min(cost.at_threshold.value, cost.flag_nothing, cost.flag_everything)


def test_curves_are_short_and_keep_their_ends_and_their_area():
    y, scores = table(20_000)
    found = report(y, scores, n_resamples=5)
    for curve in (found.roc, found.pr):
        assert len(curve.thresholds) <= 500
    assert (found.roc.fpr[0], found.roc.tpr[0], found.roc.fpr[-1], found.roc.tpr[-1]) == (0, 0, 1, 1)
    area = np.trapezoid(found.roc.tpr, found.roc.fpr)
    assert area == pytest.approx(found.metrics["auroc"].value, abs=2e-3)


def test_thinning_keeps_a_step():
    x = np.arange(10_000.0)
    y = (x > 7000).astype(float)
    kept = thin(x, y, 50)
    assert len(kept) <= 50
    assert {0, 9999} <= set(kept)
    assert np.any((x[kept] >= 7000) & (x[kept] < 7300))


def test_queue_counts_the_anomalies_among_the_first_alerts():
    y, scores = table()
    order = np.argsort(-scores)
    queue = report(y, scores).queue
    assert [row.k for row in queue] == [10, 20, 50, 100, 200, 500, 1000, 2000]
    for row in queue:
        assert row.precision == y[order[: row.k]].mean()
        assert row.recall == y[order[: row.k]].sum() / y.sum()


@pytest.mark.parametrize(
    "scores",
    [np.ones(40), np.zeros(40), np.arange(40.0), np.r_[np.ones(39), 1e12], np.geomspace(1e-8, 1e8, 40)],
)
def test_histogram_counts_every_row_once(scores):
    y = np.arange(40) % 4 == 0
    found = metrics.score_histogram(y, scores, 1.0)
    assert np.all(np.diff(found.edges) > 0)
    assert (found.normals.sum(), found.anomalies.sum()) == (30, 10)


def test_one_huge_score_does_not_hide_the_histogram():
    rng = np.random.default_rng(0)
    y = np.arange(2000) < 300
    found = metrics.score_histogram(y, np.r_[rng.normal(size=1999), 1e9], 1.0)
    assert np.count_nonzero(found.normals) > 30


def test_families_of_another_length_are_a_data_error():
    with pytest.raises(DataError, match="families has 2 rows"):
        report([0, 1, 1], [1, 2, 3], families=["a", "b"])


def test_one_class_alone_is_a_data_error():
    with pytest.raises(DataError, match="at least one anomaly"):
        report([0, 0], [1, 2])

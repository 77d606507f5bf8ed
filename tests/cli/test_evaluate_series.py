"""``whitecrow evaluate`` on tables with a row per time step."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from report_page import Page
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score

from whitecrow import load
from whitecrow.cli import main
from whitecrow.cli.report.time_axis import TimeAxis
from whitecrow.cli.report.timeline import Panel, channels_worth_showing, extremes
from whitecrow.cli.series_figures import judge_series
from whitecrow.core.errors import DataError
from whitecrow.metrics import series

START = datetime(2024, 1, 1)
STEPS, MINUTES = 800, 5


def waves(odd=()):
    """Return two channels with times; steps of ``odd`` are lifted and labelled."""
    t = np.arange(STEPS)
    y = np.zeros(STEPS, int)
    for first, stop in odd:
        y[first:stop] = 1
    noise = np.random.default_rng(0).normal(0, 0.02, (2, STEPS))
    return pl.DataFrame(
        {
            "time": [START + timedelta(minutes=MINUTES * int(i)) for i in t],
            "load": np.sin(t / 4) + 3 * y + noise[0],
            "heat": np.cos(t / 4) + noise[1],
            "fault": y,
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, and a series with two windows that stand out and one that does not."""
    base = tmp_path_factory.mktemp("series")
    waves().drop("fault").write_csv(base / "normal.csv")
    hidden = pl.int_range(pl.len()).is_between(600, 609).cast(pl.Int64)
    waves([(200, 210), (400, 404)]).with_columns(fault=pl.col("fault") | hidden).write_csv(base / "new.csv")
    model = base / "m.safetensors"
    words = ["fit", str(base / "normal.csv"), "--detector", "sub-pca", "-o", str(model), "--regime", "clean", "--quiet"]
    assert main([*words, "--contamination", "0.01", "--set", "window=20"]) == 0
    return base


def evaluate(run, files, *more, file="new.csv"):
    answer = run("evaluate", files / file, "--model", files / "m.safetensors", "--label", "fault", "--json", *more)
    assert answer.code == 0, answer.err
    return answer.document


def test_figures_of_steps_are_those_of_scikit_learn(run, files):
    found = evaluate(run, files)
    table = pl.read_csv(files / "new.csv", try_parse_dates=True)
    y, detector = table["fault"].to_numpy(), load(files / "m.safetensors")
    scores = detector.anomaly_score(table.drop("fault"))
    flags = scores > detector.threshold_
    assert found["metrics"] == pytest.approx(
        found["metrics"]
        | {
            "auroc": roc_auc_score(y, scores),
            "average_precision": average_precision_score(y, scores),
            "precision": precision_score(y, flags),
            "recall": recall_score(y, flags),
            "event_f1": series.event_wise(y, flags).f1,
            "range_recall": series.range_recall(y, flags),
            "affiliation_precision": series.affiliation(y, flags).precision,
            "vus_pr": series.vus(y, scores, found["buffer"]).pr,
        }
    )
    assert found["buffer"] == 25  # 2 pi times 4
    assert "point" not in " ".join(found["metrics"])


def test_true_windows_are_told_one_by_one(run, files):
    found = evaluate(run, files)
    assert [(w["first"], w["last"]) for w in found["windows"]] == [(201, 210), (401, 404), (601, 610)]
    assert [w["delay"] is None for w in found["windows"]] == [False, False, True]
    first = found["windows"][0]
    assert first["start"] == "2024-01-01 16:40:00"
    assert first["delay_seconds"] == first["delay"] * 60 * MINUTES


def test_the_order_of_the_rows_does_not_matter(run, files):
    table = pl.read_csv(files / "new.csv")
    table.sample(fraction=1.0, shuffle=True, seed=0).write_csv(files / "mixed.csv")
    sorted_, mixed = evaluate(run, files), evaluate(run, files, file="mixed.csv")
    assert mixed["metrics"] == pytest.approx(sorted_["metrics"])
    assert mixed["windows"] == sorted_["windows"]
    assert any("were sorted" in note for note in mixed["warnings"])


def test_steps_of_the_fit_are_recognised(run, files):
    waves().with_columns(fault=(pl.int_range(pl.len()) < 9).cast(pl.Int64)).write_csv(files / "seen.csv")
    assert any("share steps" in note for note in evaluate(run, files, file="seen.csv")["warnings"])


def test_the_report_shades_each_window_and_draws_the_threshold(run, files, tmp_path):
    out = tmp_path / "r.html"
    found = evaluate(run, files, "--report", out)
    text = out.read_text("utf-8")
    page = Page(text)
    picture = next(a for a in page.named("svg") if a.get("class") == "timeline")
    assert "load, heat, Anomaly score over time: 3 true windows" in picture["aria-label"]
    in_key = 1
    assert sum(a.get("class") == "window" for a in page.named("rect")) == 3 + in_key
    assert sum(a.get("class") == "line threshold" for a in page.named("line")) == 1 + in_key
    assert sum(a.get("class", "").startswith("trace") for a in page.named("polyline")) == 3
    assert page.text.count("✓ found") == 2
    assert page.text.count("✗ missed") == 1
    for name in ("vus_pr", "event_f1", "range_recall", "affiliation_recall"):
        assert f"{found['metrics'][name]:.3f}" in page.text
    assert not page.named("script", "link", "img", "image", "iframe", "a")
    assert "http" not in text.replace("http-equiv", "")
    assert "img-src" not in text


def test_the_terminal_names_each_window(run, files):
    answer = run("evaluate", files / "new.csv", "--model", files / "m.safetensors", "--label", "fault")
    assert answer.code == 0
    assert "2024-01-01 16:40" in answer.out
    assert "missed" in answer.out
    assert "2 of 3 true windows" in answer.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["{base}/new.csv"], 2, "--label is needed"),
        (["{base}/new.csv", "--label", "falt"], 2, "Did you mean fault?"),
        (["{base}/new.csv", "--label", "fault", "--cost-miss", "3"], 2, "have no price of their own"),
        (["{base}/new.csv", "--label", "fault", "--normal", "good"], 2, "has no such value"),
        (["{base}/new.csv", "--label", "fault", "--normal", "0", "1"], 1, "All 800 steps are labelled normal"),
        (["{base}/holes.csv", "--label", "fault"], 1, "2 of 800 steps have no label, the first in row 5"),
        (["{base}", "--label", "fault"], 1, "Give a table with a row per time step"),
    ],
)
def test_wrong_use_is_told_with_its_remedy(run, files, words, code, says):
    gone = pl.int_range(pl.len()).is_between(4, 5)
    table = pl.read_csv(files / "new.csv")
    table.with_columns(fault=pl.when(gone).then(None).otherwise("fault")).write_csv(files / "holes.csv")
    answer = run("evaluate", *(word.format(base=files) for word in words), "--model", files / "m.safetensors")
    assert answer.code == code
    assert says in " ".join(answer.err.split())


def judged(y, scores, **more):
    return judge_series(np.array(y), np.array(scores, float), 0.5, threshold_source="a test", buffer=0, **more)


def test_a_series_by_hand():
    times = np.datetime64("2024-01-01T00:00:00") + np.timedelta64(30, "s") * np.arange(8)
    found = judged([0, 1, 1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 0, 0, 0], times=times)
    assert [(w.first, w.last, w.delay, w.delay_seconds, w.flagged, w.peak) for w in found.windows] == [
        (2, 4, 2, 60.0, 1, 1.0),
        (7, 7, None, None, 0, 0.0),
    ]
    assert (found.alarms, found.false_alarms, found.n_flagged, found.found) == (2, 1, 3, 1)
    assert found.metrics["event_f1"] == 0.5
    assert found.delay["median_seconds"] == 60.0


def test_where_nothing_is_flagged_there_is_no_delay():
    found = judged([0, 1, 0, 0], [0, 0.2, 0.1, 0])
    assert found.found == 0
    assert np.isnan(found.delay["median"])
    assert any("Nothing is flagged" in note for note in found.notes)
    with pytest.raises(DataError, match="both classes are needed"):
        judged([1, 1], [0, 1])


@pytest.mark.parametrize("steps", [50, 5000])
def test_thinning_a_series_loses_no_peak(steps):
    rng = np.random.default_rng(steps)
    values, places = rng.normal(size=steps), np.linspace(0, 1, steps)
    bounds = np.array([0, steps // 3, steps])
    drawn = list(extremes(places, values, bounds, 100))
    for (first, stop), (x, v) in zip([(0, bounds[1]), (bounds[1], steps)], drawn, strict=True):
        assert (v.min(), v.max()) == (values[first:stop].min(), values[first:stop].max())
        assert len(v) <= 2 * 100 + 2
        assert (np.diff(x) >= 0).all()
    peak = values.copy()
    peak[steps // 2] = 99.0
    ((_, v),) = extremes(places, peak, np.array([0, steps]), 100)
    assert (v == 99.0).sum() == 1


def test_of_many_channels_those_that_stand_out_are_drawn():
    values = np.random.default_rng(0).normal(size=(1000, 7))
    scores = np.zeros(1000)
    scores[500:510] = 1
    values[500:510, [6, 1]] += 50
    values[:, 3] = 4.0
    shown = channels_worth_showing(values, scores)
    assert {1, 6} <= set(shown)
    assert 3 not in shown
    assert len(shown) == 4
    assert shown == sorted(shown)
    assert channels_worth_showing(values[:, :4], scores) == [0, 1, 2, 3]


def test_a_skewed_score_is_drawn_on_a_logarithmic_axis():
    assert not Panel.of_score(np.array([0.5, 2.0]), 1.0).axis().logarithmic
    assert Panel.of_score(np.array([0.5, 99.0]), 1.0).axis().logarithmic


@pytest.mark.parametrize("seconds", [0.5, 7, 300, 3600, 86400, 40 * 86400])
def test_ticks_of_time_are_few_and_rise(seconds):
    times = np.datetime64("2023-11-05T03:17:00", "ms") + np.timedelta64(int(1000 * seconds), "ms") * np.arange(60)
    axis = TimeAxis(60, times)
    places = [place for place, _ in axis.ticks()]
    assert 2 <= len(places) <= 10
    assert (np.diff(places) > 0).all()
    assert min(places) >= 0
    assert max(places) <= 1
    assert (axis.places[0], axis.places[-1]) == (0, 1)


def test_ticks_of_dates_say_when():
    days = np.datetime64("2024-02-27", "s") + np.timedelta64(6, "h") * np.arange(17)
    labels = [text for _, text in TimeAxis(17, days).ticks()]
    assert labels[::2] == ["27 Feb", "28 Feb", "29 Feb", "1 Mar", "2 Mar"]
    assert set(labels[1::2]) == {"12:00"}
    assert [text for _, text in TimeAxis(5, None).ticks()] == ["1", "2", "3", "4", "5"]

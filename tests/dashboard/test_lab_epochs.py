"""What the Lab says of epochs, against hand-counted ones."""

from whitecrow.dashboard.lab_epochs import (
    EpochFigures,
    epoch_name,
    epoch_rows,
    epoch_tiles,
    kept_epoch,
    losses,
    protocol,
)
from whitecrow.dashboard.lab_pictures import Axis, classes, code_picture, histogram_picture, roc_picture
from whitecrow.workspace import Epoch, FitRequest, RunRecord, SplitRule


def seen(low: float = 1.0, scale: str = "linear", **changes):
    return {
        "measured": {"loss": 0.5, "validation": 0.6},
        "why": None,
        "threshold": 3.0,
        "trained": 90,
        "rows": {"normal": 80, "anomaly": 20, "unknown": 0},
        "flagged": {"normal": 4, "anomaly": 12, "unknown": 0},
        "auroc": 0.875,
        "average_precision": 0.5,
        "histogram": {
            "edges": [low, 3.0, 9.0],
            "scale": scale,
            "normal": [76, 4],
            "anomaly": [8, 12],
            "unknown": [0, 0],
        },
        "roc": [[0.0, 0.0], [0.05, 0.6], [1.0, 1.0]],
        "pr": [[0.0, 1.0], [0.6, 0.75], [1.0, 0.2]],
        "codes": {"width": 5, "explained": 0.8, "normal": [[1.0, 2.0]], "anomaly": [[3.0, 4.0]], "unknown": []},
        **changes,
    }


def epoch(place: int, stage: str = "fit", what=None) -> Epoch:
    return Epoch(place, stage, place + 1, 0.5, seen() if what is None else what)


def run(**request) -> RunRecord:
    empty = dict.fromkeys(RunRecord.__dataclass_fields__)
    asked = FitRequest("d", "autoencoder", {"contamination": 0.1}, watch=True, **request)
    return RunRecord(**{**empty, "id": "a", "number": 1, "name": "a", "detector": "autoencoder", "request": asked})


UNSCORED = {"measured": {"loss": 0.5}, "why": "not yet"}


def test_figures_at_the_threshold_are_those_of_the_counts():
    found = EpochFigures.of(seen())
    assert (found.precision, found.recall, found.false_positive_rate, found.prevalence) == (12 / 16, 0.6, 0.05, 0.2)
    assert EpochFigures.of(UNSCORED) == EpochFigures.of(None) == EpochFigures()


def test_nothing_flagged_has_no_precision_and_no_label_no_figure_but_the_threshold():
    none = EpochFigures.of(seen(flagged={"normal": 0, "anomaly": 0, "unknown": 0}))
    assert (none.precision, none.recall) == (None, 0.0)
    unknown = seen(rows={"normal": 0, "anomaly": 0, "unknown": 9}, auroc=None, average_precision=None)
    found = EpochFigures.of({**unknown, "flagged": {"normal": 0, "anomaly": 0, "unknown": 2}})
    assert found == EpochFigures(threshold=3.0)


def test_an_epoch_without_scores_shows_its_loss_alone():
    assert [name for name, *_ in epoch_tiles(epoch(0, what=UNSCORED))] == ["Training loss"]
    assert {n: v for n, v, _ in epoch_tiles(epoch(0))}["Recall"] == "0.600"
    assert epoch_rows([epoch(0), epoch(1, what=UNSCORED)])[1] == ["2", "fit", *["–"] * 6]


def test_losses_carry_the_name_of_their_stage_where_there_are_several():
    assert losses([epoch(0), epoch(1)]) == {"loss": [(1, 0.5), (2, 0.5)], "validation": [(1, 0.6), (2, 0.6)]}
    assert list(losses([epoch(0, "warm-up"), epoch(1)])) == [
        "warm-up: loss", "warm-up: validation", "fit: loss", "fit: validation",
    ]  # fmt: skip


def test_the_epoch_that_was_kept_is_named():
    record = run()
    assert kept_epoch(record) is None
    record = RunRecord(
        **{**{n: getattr(record, n) for n in record.__dataclass_fields__}, "summary": {"kept_epochs": [2]}}
    )
    assert kept_epoch(record) == 2
    epochs = [epoch(0), epoch(1), epoch(2)]
    assert epoch_name(epochs[1], epochs, 2) == "Epoch 2 of 3; the model keeps its networks"
    assert epoch_name(epochs[0], epochs, 2) == "Epoch 1 of 3; the model keeps epoch 2"
    assert epoch_name(epoch(0, "warm-up"), [epoch(0, "warm-up"), epoch(1)], None) == "Epoch 1 of 2, stage warm-up"


def test_what_figures_rest_on_is_said_and_labels_only_where_they_chose_rows():
    plain, mixed = (" ".join(protocol(run(split=SplitRule(injected=share)), [epoch(0)])) for share in (None, 0.01))
    for said in (plain, mixed):
        assert "80 normal rows and 20 anomalies" in said
        assert "0.9 quantile of the scores of 90 training rows" in said
        assert "no ranking" in said
    assert "Labels chose the training rows" in mixed
    assert "Labels chose" not in plain


def test_one_axis_holds_the_scores_of_all_epochs_and_is_logarithmic_only_where_it_can_be():
    assert Axis.of([epoch(0), epoch(1, what=seen(0.5))]) == Axis("value", 0.5, 9.0)
    assert Axis.of([epoch(0), epoch(1, what=seen(0.5, "log"))]) == Axis("log", 0.5, 9.0)
    assert Axis.of([epoch(0, what=seen(-1.0)), epoch(1, what=seen(0.5, "log"))]) == Axis("value", -1.0, 9.0)
    assert Axis.of([epoch(0, what=UNSCORED)]) == Axis("value", 0.0, 1.0)


def test_pictures_of_all_epochs_have_the_same_series():
    names = classes([epoch(0, what=UNSCORED), epoch(1)])
    assert names == ["normal", "anomaly"]
    whole = Axis.of([epoch(0)])
    for draw in (
        roc_picture,
        lambda s: code_picture(s, names),
        lambda s: histogram_picture(s, names, whole, fixed=False),
    ):
        there, absent = draw(seen()), draw(UNSCORED)
        assert [one["name"] for one in there.options["series"]] == [one["name"] for one in absent.options["series"]]
        assert there.rows()
        assert absent.rows() == []
        assert "This epoch has no" in absent.caption


def test_a_histogram_tells_the_counts_and_draws_shares():
    picture = histogram_picture(seen(), ["normal", "anomaly"], Axis("value", 0.0, 20.0), fixed=True)
    assert picture.rows() == [["1", "3", "76", "8"], ["3", "9", "4", "12"]]
    assert picture.options["series"][1]["data"] == [[1.0, 40.0], [3.0, 60.0], [9.0, 60.0]]
    assert picture.options["series"][0]["markLine"]["data"] == [{"xAxis": 3.0}]
    assert (picture.options["xAxis"]["min"], picture.options["xAxis"]["max"]) == (0.0, 20.0)
    assert "12 of 20 anomalies and 4 of 80 normal rows" in picture.caption

"""What a model card says in words."""

from typing import TYPE_CHECKING, Any

from whitecrow.page.wording import count

if TYPE_CHECKING:
    from whitecrow.detectors import Detector
    from whitecrow.workspace.dataset_record import DatasetRecord
    from whitecrow.workspace.runs import RunRecord

__all__ = ["UNITS", "column_rows", "explanation_words", "label_words", "limits", "use"]

UNITS = {"table": "row", "image": "image", "sequence": "sequence"}
"""What a sample of each kind is called; a step of a long series is a step."""

_TRAINED_ON = {
    "contaminated": "What is frequent among the training {unit}s passes as normal, anomalies among them included: they "
    "were taken as they came.",
    "clean": "The training {unit}s were taken to be normal. Anomalies that stood among them unnoticed pass as normal.",
    "labelled": "It was told of known anomalies. Kinds that were not among them may be missed.",
}


def use(kind: str, unit: str) -> tuple[str, ...]:
    """Return what a model is for."""
    same = {
        "table": "the same columns, in the same units and from the same source",
        "image": "the same size, taken under the same conditions",
        "sequence": "the same channels, in the same units and with the same time between steps",
    }[kind]
    return (
        f"Put {unit}s in the order of how unusual they are beside those that it learnt from, and flag those with a "
        "score above the threshold, so that somebody looks at them.",
        f"It may score new {unit}s with {same}.",
    )


def limits(kind: str, unit: str, regime: str) -> tuple[str, ...]:
    """Return what a model is not for."""
    found = [
        "A high score means unusual. It does not mean harmful, broken or wrong, and a low score does not mean safe.",
        _TRAINED_ON[regime].format(unit=unit),
        f"Its figures speak of {unit}s like those that were tested. Where the world moves they no longer hold: watch "
        "the drift, and fit again.",
        "It is no ground to decide about people by itself: a person looks at each case.",
    ]
    if kind == "table":
        found.insert(2, "Of values beyond the ranges below, and of categories that are new, the figures say nothing.")
    return tuple(found)


def label_words(record: "RunRecord", dataset: "DatasetRecord | None") -> str:
    """Return what labels were used for."""
    request = record.request
    if dataset is None:
        return "not known: the model was brought in"
    if request.verdicts is not None:
        return "verdicts of people were told to the detector as labels; some were held out, to measure on"
    settings = request.settings or dataset.settings
    if settings.label is None:
        return "none: there are no labels"
    if request.regime == "labelled":
        return "labels of the training rows were told to the detector; those of test rows only measure"
    if request.split.injected is not None:
        return "labels chose the training rows, normal ones and the anomalies that were injected; the others measure"
    if request.regime == "clean":
        return "labels kept known anomalies, and rows without a label, out of training; those of test rows only measure"
    return "labels only measure; training and the threshold of the fit did not see them"


def column_rows(detector: "Detector") -> list[tuple[str, str, str]]:
    """Return of each column or channel that a model reads its name, its type, and what training rows had in it."""
    encoder: Any = detector.encoder_
    if detector.spec_.kind == "image":
        channels, height, width = detector.spec_.shape
        return [("pixels", "number", f"{count(channels, 'channel')} of {height} × {width} pixels (height × width)")]
    return [(column.name, column.kind, column.typical()) for column in encoder.columns_]


def explanation_words(detector: "Detector") -> str:
    """Return how the scores of a model are explained."""
    return {
        "table": "by column: how far the score drops when a column takes the values that it has in normal rows which "
        "are otherwise alike (occlusion), beside the nearest normal training rows",
        "image": "by place: the method's own scores by pixel where it has them, or how far the score drops when a "
        "patch looks as it does in the nearest normal images",
        "sequence": "by step: what was observed beside what the method rebuilds, or beside the mean of the nearest "
        "normal windows where it rebuilds nothing",
    }[detector.spec_.kind]

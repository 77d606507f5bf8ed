"""What the Lab says of an epoch, in figures and words, from what the fit has recorded of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whitecrow.dashboard.formats import count, figure, percent, value
from whitecrow.workspace import Epoch, RunRecord

__all__ = [
    "CLASS_NAMES",
    "EPOCH_HEADS",
    "EpochFigures",
    "epoch_name",
    "epoch_rows",
    "epoch_tiles",
    "kept_epoch",
    "losses",
    "protocol",
    "what_it_is",
]

CLASS_NAMES = {"normal": "Normal", "anomaly": "Anomaly", "unknown": "Unknown label"}
"""Of each class its name in legends."""

EPOCH_HEADS = (
    "Epoch",
    "Stage",
    "AUROC",
    "Average precision",
    "Threshold",
    "Precision",
    "Recall",
    "False-positive rate",
)
"""Heads of :func:`epoch_rows`."""


@dataclass(frozen=True)
class EpochFigures:
    """Figures of merit after an epoch, on the rows that are shown; None where there is nothing to divide by.

    Parameters
    ----------
    threshold : float or None
        Of training scores.
    auroc, average_precision : float or None
        Whatever the threshold is.
    precision, recall, false_positive_rate : float or None
        At the threshold, from 0 to 1, among rows with a known label.
    prevalence : float or None
        Share of anomalies among these; what average precision is by chance.
    """

    threshold: float | None = None
    auroc: float | None = None
    average_precision: float | None = None
    precision: float | None = None
    recall: float | None = None
    false_positive_rate: float | None = None
    prevalence: float | None = None

    @classmethod
    def of(cls, seen: Mapping[str, Any] | None) -> "EpochFigures":
        """Return the figures of what was recorded; all None where nothing could be scored."""
        if seen is None or "threshold" not in seen:
            return cls()
        rows, flagged = seen["rows"], seen["flagged"]
        tp, fp, positives, negatives = flagged["anomaly"], flagged["normal"], rows["anomaly"], rows["normal"]
        return cls(
            seen["threshold"],
            seen["auroc"],
            seen["average_precision"],
            _ratio(tp, tp + fp) if positives else None,
            _ratio(tp, positives),
            _ratio(fp, negatives),
            _ratio(positives, positives + negatives),
        )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def epoch_tiles(epoch: Epoch) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the figures of an epoch, each with its name and what goes with it; the loss where there are no scores."""
    found = EpochFigures.of(epoch.seen)
    if found.threshold is None:
        return [("Training loss", value(epoch.loss), ())]
    chance = f"by chance: {figure(found.prevalence)}"
    return [
        ("AUROC", figure(found.auroc), ("by chance: 0.500",)),
        ("Average precision", figure(found.average_precision), (chance,)),
        ("Threshold", value(found.threshold), ("of training scores",)),
        ("Precision", figure(found.precision), (chance,)),
        ("Recall", figure(found.recall), ()),
        ("False-positive rate", figure(found.false_positive_rate), ()),
    ]


def epoch_rows(epochs: Sequence[Epoch]) -> list[list[str]]:
    """Return the figures of all epochs for a table; see :data:`EPOCH_HEADS`."""
    rows = []
    for one in epochs:
        found = EpochFigures.of(one.seen)
        shares = (found.precision, found.recall, found.false_positive_rate)
        ranking = (found.auroc, found.average_precision)
        rows.append(
            [str(one.place + 1), one.stage, *(figure(f, 4) for f in ranking), value(found.threshold)]
            + [figure(f, 4) for f in shares]
        )
    return rows


def losses(epochs: Sequence[Epoch]) -> dict[str, list[tuple[int, float | None]]]:
    """Return what was measured by epoch: of each objective, the validation and what the method adds, a curve.

    Where there are several stages, names begin with that of the stage.
    """
    several = len({one.stage for one in epochs}) > 1
    curves: dict[str, list[tuple[int, float | None]]] = {}
    for one in epochs:
        for name, number in (one.seen or {}).get("measured", {}).items():
            curves.setdefault(f"{one.stage}: {name}" if several else name, []).append((one.place + 1, number))
    return curves


def kept_epoch(run: RunRecord) -> int | None:
    """Return the epoch, from 1, whose networks the model holds; None before the end, or where replicas differ."""
    kept = set((run.summary or {}).get("kept_epochs", ()))
    return kept.pop() if len(kept) == 1 else None


def what_it_is(run: RunRecord) -> str:
    """Return in a few words what is trained on what: contamination and seed."""
    injected = run.request.split.injected
    mixed = "rows as they came" if injected is None else f"{percent(float(injected))} of anomalies injected"
    return f"{run.detector}, {mixed}, seed {run.request.seed}"


def protocol(run: RunRecord, epochs: Sequence[Epoch]) -> list[str]:
    """Return in sentences what the figures of the epochs rest on."""
    split = run.request.split
    seen = next((one.seen for one in epochs if one.seen and "rows" in one.seen), {})
    said = []
    if "rows" in seen:
        rows = seen["rows"]
        known = f"{count(rows['normal'], 'normal row')} and {count(rows['anomaly'], 'anomaly', 'anomalies')}"
        also = f", beside {count(rows['unknown'], 'row')} without a label" if rows["unknown"] else ""
        where = "rows that trained too, for every row trains" if split.kind == "all" else "rows that train nothing"
        said.append(f"Shown are {known}{also}: {where}, the same ones after every epoch.")
        said.append(
            f"The threshold is the {1 - _share(run):.3g} quantile of the scores of {seen['trained']:,} training rows, "
            "as they are after the epoch. No label has a part in it."
        )
    if split.injected is None:
        said.append("Labels colour what is shown. Neither training nor the epoch that is kept depends on them.")
    else:
        said.append(
            "Labels chose the training rows: normal ones, and the known anomalies that were injected, none of which is "
            "among the rows that are shown. Apart from that they only colour what is shown."
        )
    said.append("This is one seed: how it differs from another run may be chance, and is no ranking.")
    return said


def _share(run: RunRecord) -> float:
    return float(run.request.parameters.get("contamination", 0.05))


def epoch_name(epoch: Epoch, epochs: Sequence[Epoch], kept: int | None) -> str:
    """Return which epoch this is of those that are known, and whether it is the one that was kept."""
    words = f"Epoch {epoch.place + 1} of {epochs[-1].place + 1}"
    if len({one.stage for one in epochs}) > 1:
        words += f", stage {epoch.stage}"
    if kept is not None:
        words += "; the model keeps its networks" if kept == epoch.place + 1 else f"; the model keeps epoch {kept}"
    return words

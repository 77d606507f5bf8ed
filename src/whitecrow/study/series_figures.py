"""Figures of merit of series: of their steps in order, and those of the Numenta Anomaly Benchmark."""

from collections.abc import Callable
from typing import Literal

from whitecrow.metrics import PrecisionRecallF1
from whitecrow.metrics.series import (
    affiliation,
    composite_f1,
    event_wise,
    nab_score,
    oracle_f1,
    oracle_nab_score,
    range_based,
    vus,
)
from whitecrow.study.merit import BEST, Compute, Figure, Labels

__all__ = ["series_figures"]

Judge = Callable[[Labels, Labels], PrecisionRecallF1]
Profile = Literal["standard", "reward-low-FP", "reward-low-FN"]

_SERIES, _NAB = ("tsb-ad", "nab"), ("nab",)  # protocols whose rows are steps in order, and that of NAB
_AREA = "of VUS forgives a lag of up to half a period; the mean over all buffers up to the period of the first channel."
_JUDGES = {
    "range": (
        "Range-based F1",
        "Precision and recall of ranges, with a fifth of the recall for touching one",
        range_based,
    ),
    "affiliation": (
        "Affiliation F1",
        "How near flags and events are in time; noise gets about 0.67",
        affiliation,
    ),
    "event": ("Event F1", "Recall of events and precision of steps", composite_f1),
}
_PROFILES: dict[str, Profile] = {"standard": "standard", "low_fp": "reward-low-FP", "low_fn": "reward-low-FN"}


def series_figures() -> list[Figure]:
    """Return the figures of the protocols whose test is a series of steps."""
    entries = [
        Figure("vus_pr", "VUS-PR", f"The precision-recall area {_AREA}", lambda t: vus(t.y, t.scores, t.buffer).pr,
               protocols=_SERIES),
        Figure("vus_roc", "VUS-ROC", f"The ROC area {_AREA}", lambda t: vus(t.y, t.scores, t.buffer).roc,
               protocols=_SERIES),
        Figure("operational_event_recall", "Operational event recall",
               "Share of events with a flag, at the model's own threshold, which was set without test labels.",
               lambda t: event_wise(t.y, t.scores > t.threshold).recall, needs_threshold=True, protocols=_SERIES),
    ]  # fmt: skip
    for name, (title, description, judge) in _JUDGES.items():
        entries += _judged(name, title, description, judge)
    return [*entries, *_of_nab()]


def _judged(name: str, title: str, description: str, judge: Judge) -> list[Figure]:
    """Return a figure of flags at the model's own threshold, and at the best of those that the benchmark tries."""
    return [
        Figure(
            f"operational_{name}_f1",
            f"Operational {title}",
            f"{description}, at the model's own threshold, which was set without test labels.",
            lambda t: judge(t.y, t.scores > t.threshold).f1,
            needs_threshold=True,
            protocols=_SERIES,
        ),
        Figure(
            f"best_{name}_f1_on_test",
            f"Best {title} on the test",
            f"{description}, at the best of 100 thresholds. No deployed detector reaches it.",
            lambda t: oracle_f1(judge, t.y, t.scores).f1,
            uses_test_labels=BEST,
            protocols=_SERIES,
        ),
    ]


def _of_nab() -> list[Figure]:
    entries = []
    for name, profile in _PROFILES.items():
        title, scale = f"NAB score, {profile}", "0 is flagging nothing, 100 is perfect, and false alarms go below 0."
        entries += [
            Figure(f"operational_nab_{name}", f"Operational {title}", f"At the model's own threshold. {scale}",
                   _nab(profile), needs_threshold=True, protocols=_NAB),
            Figure(f"best_nab_{name}_on_test", f"Best {title} on the test", f"At the best threshold. {scale}",
                   _best_nab(profile), uses_test_labels=BEST, protocols=_NAB),
        ]  # fmt: skip
    return entries


def _nab(profile: Profile) -> Compute:
    # The probationary period has trained, and is not in the test.
    return lambda t: nab_score([t.y], [t.scores], t.threshold, profile=profile, probation=0.0)


def _best_nab(profile: Profile) -> Compute:
    return lambda t: oracle_nab_score([t.y], [t.scores], profile=profile, probation=0.0).score

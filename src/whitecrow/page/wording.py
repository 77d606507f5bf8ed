"""Text for readers: numbers, shares and time spans in words, and text from data made harmless."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["METRIC_NAMES", "NOTHING", "clean", "count", "duration", "in_units", "parameter", "percent"]

NOTHING = "–"
"""What stands for a figure that is not there."""

METRIC_NAMES: Mapping[str, str] = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "f1_at_known_ratio": "F1 at the known ratio",
    "recall_at_1_percent_fpr": "Recall at 1 % false alarms",
    "recall_at_0.1_percent_fpr": "Recall at 0.1 % false alarms",
    "best_f1": "Best F1 (optimistic)",
    "precision": "Precision",
    "recall": "Recall",
    "operational_f1": "F1",
    "f2": "F2",
    "false_positive_rate": "False-alarm rate",
    "alert_rate": "Alert rate",
    "accuracy": "Accuracy",
}
"""Figures of merit in words, in the order in which reports show them."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_ROW = re.compile(r"\b(?:(an?) )?row(s?)\b", re.IGNORECASE)


def clean(text: str) -> str:
    """Return text without what a terminal takes for a command; data and model files may hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)


def percent(share: float) -> str:
    """Return a share as a whole percentage, or with one decimal below 10 %.

    >>> [percent(share) for share in (0.0002, 0.021, 0.634, 0.9999, 1)]
    ['<0.1 %', '2.1 %', '63 %', '>99.9 %', '100 %']
    """
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    digits = 1 if 0 < share < 0.0995 or 0.99 <= share < 1 else 0
    return f"{100 * share:.{digits}f} %"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things.

    >>> count(1, "run"), count(20_000, "row"), count(2, "anomaly", "anomalies")
    ('1 run', '20,000 rows', '2 anomalies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float | None) -> str:
    """Return a time span in two units at most.

    >>> [duration(s) for s in (0.0123, 4.26, 75, 3725, 90_000, None)]
    ['12 ms', '4.3 s', '1 min 15 s', '1 h 2 min', '1 d 1 h', '–']
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, lower, lower_name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min")):
        if whole >= unit:
            rest = whole % unit // lower
            return f"{whole // unit} {name}" + (f" {rest} {lower_name}" if rest else "")
    return f"{whole // _MINUTE} min" + (f" {whole % _MINUTE} s" if whole % _MINUTE else "")


def in_units(text: str, unit: str) -> str:
    """Return a sentence of ours on rows as one on something else.

    >>> in_units("A row is flagged; 3 rows are not", "image")
    'An image is flagged; 3 images are not'
    """
    if unit == "row":
        return text

    def renamed(found: re.Match[str]) -> str:
        article, plural = found.groups()
        if article is None:
            return (unit.capitalize() if found[0][0].isupper() else unit) + plural
        return f"{article[0]}{'n' if unit[0] in 'aeiou' else ''} {unit}{plural}"

    return _ROW.sub(renamed, text)


def parameter(given: Any) -> str:
    """Return the value of a parameter as a form shows it.

    >>> parameter((64, 32)), parameter(None), parameter(True), parameter(0.001)
    ('64, 32', 'none', 'yes', '0.001')
    """
    if given is None:
        return "none"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, Sequence) and not isinstance(given, str):
        return ", ".join(map(parameter, given))
    return str(given)

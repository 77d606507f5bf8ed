"""How honest the figures of a run are: what the badge on every screen and the model card say."""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from whitecrow.page.wording import NOTHING, count, parameter, percent
from whitecrow.workspace.dataset_record import DatasetRecord
from whitecrow.workspace.request import SplitRule
from whitecrow.workspace.runs import RunRecord

__all__ = ["Honesty", "honesty", "siblings", "split_words"]

_FEW_ANOMALIES = 100
_LABELS_USED = re.compile(r"\blabel|\bverdict|\bF1\b", re.IGNORECASE)
_COPIES = re.compile(r"\b(copies of others|values of a (?:training|validation) row)\b")


class Honesty(NamedTuple):
    """What the badge says.

    Parameters
    ----------
    level : {"plain", "caution"}
        Whether something makes the figures doubtful.
    summary : str
        In one line.
    facts : tuple of (str, str)
        Where the threshold is from, how the rows were split, positives, seeds, contamination, duplicates.
    doubts : tuple of str
        What makes the figures doubtful, the worst first.
    """

    level: Literal["plain", "caution"]
    summary: str
    facts: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...]


def siblings(run: RunRecord, runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the runs that are done and differ from this one in nothing but the seed, itself included if it is done."""
    apart = ("seed", "name", "budget", "watch")

    def asked(one: RunRecord) -> dict[str, object]:
        return {name: given for name, given in one.request.document().items() if name not in apart}

    wanted = asked(run)
    return [one for one in runs if one.state == "done" and one.dataset == run.dataset and asked(one) == wanted]


def honesty(run: RunRecord, dataset: DatasetRecord | None, n_seeds: int, threshold: float | None = None) -> Honesty:
    """Return what is to be known before the figures of a run are believed.

    Parameters
    ----------
    run : RunRecord
        That is done.
    dataset : DatasetRecord or None
        Its data set, where it is there.
    n_seeds : int
        Distinct seeds among its :func:`siblings`.
    threshold : float, optional
        Another threshold than the model's that the view shows.
    """
    report, notes = run.report, run.notes or []
    doubts: list[str] = []
    source = run.threshold_source or NOTHING
    if threshold is not None and threshold != run.threshold:
        source = "moved by hand while looking at the rows that are shown"
        doubts.append("The threshold was chosen on the data that is shown, so figures at it are optimistic.")
    elif _LABELS_USED.search(source):
        doubts.append("The threshold was chosen by labels. If those are the labels shown, the figures are optimistic.")
    if report is None:
        doubts.append("There are no figures of merit: no labelled anomalies and normal rows were tested.")
    elif report["n_anomalies"] < _FEW_ANOMALIES:
        doubts.append(f"The test has only {count(report['n_anomalies'], 'anomaly', 'anomalies')}: mind the intervals.")
    if n_seeds < 2:
        doubts.append("One seed only: a difference to another run may be chance, and is no ranking.")
    if dataset is not None and dataset.synthetic:
        doubts.append("The data is simulated: no evidence about anything real.")
    doubts += [note for note in notes if note not in doubts]
    facts = (
        ("Threshold from", source),
        ("Split", split_words(run.request.split)),
        ("Tested on", _tested(run)),
        ("Seeds", f"{n_seeds} ({parameter(run.request.seed)} here)" if n_seeds else NOTHING),
        ("Training data", _training(run)),
        ("Duplicates", _duplicates(run)),
    )
    positives = "no labelled test" if report is None else count(report["n_anomalies"], "test anomaly", "test anomalies")
    summary = f"{positives}, {count(n_seeds, 'seed')}; threshold: {source}"
    if doubts:
        summary += f"; {count(len(doubts), 'doubt')}"
    # One seed and synthetic data are the rule in a first look; the badge still says so, and marks it.
    return Honesty("caution" if doubts else "plain", summary, facts, tuple(doubts))


def split_words(split: SplitRule) -> str:
    """Return how the rows of a run were split.

    >>> split_words(SplitRule("order", 0.6, validation=0.2, time="at"))
    'the first 60 % of the rows trained, the next 20 % set the threshold, the later ones tested; in the order of at'
    """
    share, validation = percent(float(split.share)), ""
    if split.validation is not None:
        others = "the next" if split.kind == "order" else "another"
        validation = f", {others} {percent(float(split.validation))} set the threshold"
    words = {
        "random": f"a random {share} of the rows trained{validation}" + (", the others tested" if validation else ""),
        "order": f"the first {share} of the rows trained{validation}, the later ones tested",
        "all": "every row trained, none is left to test",
    }[split.kind]
    if split.time is not None:
        words += f"; in the order of {split.time}"
    return words if split.injected is None else f"{words}; held-out anomalies were injected"


def _tested(run: RunRecord) -> str:
    if run.report is None:
        return "no labelled rows of both classes"
    report = run.report
    anomalies = count(report["n_anomalies"], "anomaly", "anomalies")
    return f"{count(report['n'], 'row')}, {anomalies} ({percent(report['prevalence'])})"


def _training(run: RunRecord) -> str:
    summary = run.summary or {}
    rows = summary.get("rows")
    words = {
        "clean": "rows taken to be normal only",
        "contaminated": "taken as it came, anomalies among it",
        "labelled": "with labels told to the detector",
    }[run.request.regime]
    if run.request.split.injected is not None:
        words = f"normal rows with {percent(float(run.request.split.injected))} of anomalies injected"
    return words if rows is None else f"{count(int(rows), 'row')}, {words}"


def _duplicates(run: RunRecord) -> str:
    found = [note for note in run.notes or [] if _COPIES.search(note)]
    if found:
        return " ".join(found)
    return NOTHING if run.report is None else "few or none found between training and test"

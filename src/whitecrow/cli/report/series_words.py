"""What the report on a series says in words."""

from typing import TYPE_CHECKING

from whitecrow.cli.wording import duration, percent

if TYPE_CHECKING:
    from whitecrow.cli.series_figures import SeriesFigures

__all__ = ["SERIES_DEFINITIONS", "series_headlines", "series_lead"]

SERIES_DEFINITIONS = {
    "True window": "A run of steps that are labelled anomalous, without a normal step between them.",
    "Alarm": "A run of flagged steps, without one between them that is not flagged.",
    "VUS-PR, VUS-ROC": (
        "Area under the precision-recall and under the ROC curve, with labels that fade out beside each window, "
        "averaged over all widths of that border up to the one stated. A peak that comes a little early or late still "
        "counts."
    ),
    "AUROC and average precision by step": (
        "The same areas without any such border: every step counts by itself, so one long window outweighs many short "
        "ones."
    ),
    "F1 of events": (
        "Harmonic mean of two shares: of the alarms that touch a true window, and of the true windows that an alarm "
        "touches. One alarm over the whole series would reach 1, so look at the picture too."
    ),
    "Range precision and recall": (
        "How much of each alarm is anomalous, and how much of each true window is flagged, averaged over alarms and "
        "over windows (Tatbul et al. 2018; a fifth of the recall for touching a window at all; several alarms in one "
        "window share the credit)."
    ),
    "Affiliation precision and recall": (
        "How near alarms lie to windows and windows to alarms, against a point dropped at random (Huet et al. 2022). "
        "Chance is high: pure noise reaches an F of about 0.67, so these figures never stand alone."
    ),
    "Delay": "From the first step of a window to its first flagged step. A missed window has none.",
    "Not shown": (
        "Point-adjusted F1, which counts a whole window as found where one step of it is flagged: random scores reach "
        "0.9 by it."
    ),
}


def series_lead(figures: "SeriesFigures", subject: str) -> str:
    """Return the result in two sentences."""
    n = len(figures.windows)
    first = f"The {subject} found {figures.found:,} of {n:,} true {_plural(n, 'window')} in {figures.n:,} steps."
    if not figures.alarms:
        return f"{first} It flagged nothing at all at this threshold."
    alarms, wrong = figures.alarms, figures.false_alarms
    if not wrong:
        whole = "Its only alarm touches" if alarms == 1 else f"All of its {alarms:,} alarms touch"
        return f"{first} {whole} a true window."
    return (
        f"{first} Of its {alarms:,} {_plural(alarms, 'alarm')}, {wrong:,} {'touches' if wrong == 1 else 'touch'} "
        f"no true window ({percent(wrong / alarms)})."
    )


def series_headlines(figures: "SeriesFigures") -> list[tuple[str, str, str]]:
    """Return name, value and meaning of the figures that come first."""
    m, n, share = figures.metrics, len(figures.windows), figures.n_anomalous / figures.n
    late = figures.delay
    if figures.found:
        delay = duration(late["median"], late.get("median_seconds"))
        meaning = (
            f"Median from the start of a window to its first flag; 95 of 100 take at most "
            f"{duration(late['p95'], late.get('p95_seconds'))}."
        )
    else:
        delay, meaning = "–", "No true window was found, so there is no delay."
    return [
        (
            "VUS-PR",
            f"{m['vus_pr']:.3f}",
            f"Ranking of the steps, a lag of up to {figures.buffer:,} steps forgiven. {percent(share)} of the steps "
            "are anomalous.",
        ),
        ("True windows found", f"{figures.found:,} of {n:,}", "At least one of their steps is flagged."),
        ("F1 of events", f"{m['event_f1']:.3f}", f"{percent(m['event_precision'])} of the alarms touch a true window."),
        ("Detection delay", delay, meaning),
    ]


def _plural(n: int, word: str) -> str:
    return word if n == 1 else f"{word}s"

"""The page: sections in the order in which a reader asks."""

from collections.abc import Iterable
from importlib.resources import files

from whitecrow.page.document import document
from whitecrow.page.markup import Markup, tag
from whitecrow.study.report import sections, words
from whitecrow.study.summary import Summary

__all__ = ["page"]

# The last three say something of a study without figures, too.
_CONTENTS = (
    ("quality", "Quality", sections.quality),
    ("ranks", "Ranks", sections.ranks),
    ("differences", "Differences", sections.differences),
    ("contamination", "Contamination", sections.curves),
    ("kinds", "Kinds of anomaly", sections.kinds),
    ("costs", "Costs", sections.costs),
    ("failures", "Failures and data", sections.failures),
    ("method", "Method", sections.households),
    ("reading", "How to read it", sections.reading),
)


def page(summary: Summary) -> str:
    """Return the HTML document."""
    study = summary.results.study
    lead = words.lead(summary)
    made = [
        (name, title, section)
        for name, title, build in _CONTENTS
        if (section := build(summary) if summary.done or name in ("failures", "method", "reading") else None)
        is not None
    ]
    return document(
        study.name,
        "whitecrow study",
        [
            *(tag("p", sentence, class_="lead") for sentence in lead),
            *([tag("p", study.description)] if study.description else []),
            tag("p", _when(summary), class_="meta"),
        ],
        [
            _cards(summary),
            tag("nav", tag("ul", *(tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in made)),
                aria_label="Sections"),
            *(tag("div", section, id=name) for name, _, section in made),
        ],
        style=files("whitecrow.study.report").joinpath("report.css").read_text("utf-8"),
    )  # fmt: skip


def _when(summary: Summary) -> str:
    if not summary.began:
        return ""
    releases = sorted({code.partition("+")[0] for codes in summary.codes.values() for code in codes})
    first, last = (stamp.replace("T", " ").replace("+00:00", " UTC") for stamp in (summary.began, summary.ended))
    return f"Computed from {first} to {last} with whitecrow {words.listed(releases)}."


def _cards(summary: Summary) -> Markup:
    results = summary.results
    seeds = sorted({facts.seeds for facts in summary.data})
    runs = f"{seeds[0]} seeds" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    shares = words.listed([words.share_text(share) for share in results.shares], 8)
    entries: Iterable[tuple[str, str, str]] = (
        ("Data sets", str(len(results.datasets)), words.listed(results.datasets)),
        ("Detectors", str(len(results.detectors)), words.listed(results.detectors)),
        ("Shares of contamination", str(len(results.shares)), f"{shares}; {'1 seed' if seeds == [1] else runs}"),
        (
            "Cells done",
            f"{summary.done:,}",
            f"of {summary.planned:,}; {summary.failed:,} failed, {summary.missing:,} missing",
        ),
    )
    return tag(
        "div",
        *(
            tag("div", tag("p", name, class_="name"), tag("p", value, class_="value"), tag("p", text, class_="means"),
                class_="card")
            for name, value, text in entries
        ),
        class_="cards",
    )  # fmt: skip

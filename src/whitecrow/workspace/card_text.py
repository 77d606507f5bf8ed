"""A model card as Markdown, and as sections of a page."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from whitecrow.page.markdown import escaped, table
from whitecrow.page.markup import Markup, tag
from whitecrow.page.parts import section, table_of
from whitecrow.page.wording import NOTHING, duration, parameter, percent
from whitecrow.workspace.model_card import ModelCard

__all__ = ["card_markdown", "card_sections", "data_facts", "model_facts"]

_COLUMNS = ("Column", "Type", "Usual in training")
_COLUMNS_SAY = "Of numbers the 5th to the 95th percentile, of categories the commonest, each with its share."
_PARAMETERS = ("Parameter", "Value", "")


def card_markdown(card: ModelCard) -> str:
    """Return the card as Markdown; nothing that comes from data is read as Markdown or as HTML."""
    blocks = [
        f"# Model card: {escaped(card.name)}",
        escaped(f"Run {card.number}, model version {card.version}, fitted with {card.detector}. Made by whitecrow."),
        "## What it is for",
        _listed(card.use),
        "## What it is not for",
        _listed(card.limits),
        "## How well it does",
        escaped(figures_lead(card)),
    ]
    if card.figures:
        blocks.append(table(_figure_heads(card), _figure_rows(card), right=(1, 2, 3)))
    blocks += [
        "## What makes these figures doubtful",
        _listed(card.caveats) if card.caveats else "Nothing that is known of.",
        "## The model",
        _named(model_facts(card)),
        "## The data",
        _named(data_facts(card)),
        "## Parameters",
        table(_PARAMETERS, _parameter_rows(card)),
        "## What it reads",
        *([] if card.kind == "image" else [escaped(_COLUMNS_SAY)]),
        table(_COLUMNS, [(one.name, one.type, one.typical) for one in card.columns]),
    ]
    return "\n\n".join(blocks) + "\n"


def card_sections(card: ModelCard) -> list[Markup]:
    """Return what a report adds from the card: what the model is for and not for, its parameters and its columns."""
    columns = [[tag("th", one.name, scope="row"), tag("td", one.type), tag("td", one.typical)] for one in card.columns]
    given = [[tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])] for row in _parameter_rows(card)]
    return [
        section(
            "What it is for, and what not",
            "",
            tag("ul", *(tag("li", one) for one in card.use)),
            tag("h3", "Not"),
            tag("ul", *(tag("li", one) for one in card.limits)),
        ),
        section(
            "What the model reads",
            "" if card.kind == "image" else _COLUMNS_SAY,
            _scrolling(table_of(_COLUMNS, columns)),
        ),
        section("Parameters", "", _scrolling(table_of(_PARAMETERS, given))),
    ]


def model_facts(card: ModelCard) -> dict[str, str]:
    """Return where the model comes from, as names and values."""
    cost = card.cost
    paper = card.paper if card.year is None or str(card.year) in card.paper else f"{card.paper}, {card.year}"
    found = {
        "Detector": card.detector,
        "Paper": paper or NOTHING,
        "Run": f"{card.number}, {card.name}",
        "Version": card.version,
        "Fitted": NOTHING if card.made is None else f"{datetime.fromisoformat(card.made):%Y-%m-%d %H:%M} UTC",
        "Seed": str(card.seed),
        "Regime": card.regime,
        "Contamination": f"{card.contamination:g}",
        "Threshold": f"{card.threshold:.6g}",
        "Threshold from": card.threshold_source,
        "Labels": card.label_use,
        "Explanation": card.explanation,
        "Versions": ", ".join(f"{name} {version}" for name, version in card.versions.items()) or NOTHING,
    }
    if cost:
        found["Time"] = (
            f"{duration(cost.get('fit_s'))} to fit, {duration(cost.get('score_s'))} to score "
            f"{cost.get('rows_scored', 0):,} {card.unit}s"
        )
        found["Memory"] = f"{cost.get('memory_mb', 0):,.0f} MB at most"
    return found


def data_facts(card: ModelCard) -> dict[str, str]:
    """Return what the model learnt from and was tested on, as names and values."""
    fitted, trained, held_out, *others = card.rows.items()
    # A fit to a long series counts its windows.
    window = "windows " if card.unit == "step" else ""
    rows = (
        f"{fitted[1]:,} {fitted[0]}, of which {trained[1]:,} {window}{trained[0]} and {held_out[1]:,} {window}were "
        f"{held_out[0]}"
    )
    rows = "; ".join([rows, *(f"{n:,} {what}" for what, n in others if n or what == "tested")])
    return {**card.data, "Split": card.split, "What became of the rows": rows}


def figures_lead(card: ModelCard) -> str:
    """Return on what the figures of the card were measured."""
    if card.n_tested is None or card.n_anomalies is None or card.level is None:
        return "There are no figures of merit: no labelled anomalies and normal rows were tested."
    return (
        f"Measured on {card.n_tested:,} {card.unit}s that took no part in training, {card.n_anomalies:,} of them "
        f"anomalies, with {percent(card.level)} intervals."
    )


def _figure_heads(card: ModelCard) -> Sequence[str]:
    return ("Figure", "Value", f"{percent(card.level or 0)} interval", "By chance")


def _figure_rows(card: ModelCard) -> list[tuple[str, str, str, str]]:
    return [
        (
            one.title,
            _figure(one.value),
            NOTHING if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}",
            _figure(one.by_chance),
        )
        for one in card.figures
    ]


def _figure(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _parameter_rows(card: ModelCard) -> list[tuple[str, str, str]]:
    return [
        (one.name, parameter(one.value), "default" if one.is_default else f"default is {parameter(one.default)}")
        for one in card.parameters
    ]


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(one)}" for one in sentences)


def _named(values: Mapping[str, str]) -> str:
    return "\n".join(f"- **{escaped(name)}**: {escaped(value)}" for name, value in values.items())


def _scrolling(made: Any) -> Markup:
    return tag("div", made, class_="panel scroll", tabindex=0)

"""The report as Markdown: the same tables, without pictures."""

from collections.abc import Iterator

from whitecrow.page.markdown import escaped
from whitecrow.study.figures import figure
from whitecrow.study.report import tables, words
from whitecrow.study.report.tables import BEST, Table
from whitecrow.study.statistics.comparison import CriticalDifference
from whitecrow.study.summary import Part, Summary

__all__ = ["markdown", "table_text"]


def markdown(summary: Summary) -> str:
    """Return the Markdown document."""
    blocks = [f"# {escaped(summary.results.study.name)}"]
    blocks += [escaped(sentence) for sentence in (*words.lead(summary), summary.results.study.description) if sentence]
    several = len(summary.parts) > 1
    for part in summary.parts if summary.done else ():
        if several:
            blocks.append(f"## Told that training rows are {part.regime}")
        blocks += _part(summary, part, "###" if several else "##")
    blocks.append("## What failed, and the data")
    blocks.append(
        table_text(tables.count_table(summary.failures, "Error")) if summary.failures else "No cell has failed."
    )
    if summary.notes:
        blocks.append(table_text(tables.count_table(summary.notes, "Note")))
    blocks.append(table_text(tables.data_table(summary)))
    for title, entries in (
        ("How it was done", words.protocol_entries(summary)),
        ("How to read it", [*words.figure_entries(summary), *words.STATISTICS.items()]),
    ):
        blocks.append(f"## {title}")
        blocks.append("\n".join(f"- **{escaped(name)}**: {escaped(text)}" for name, text in entries))
    return "\n\n".join(blocks) + "\n"


def _part(summary: Summary, part: Part, level: str) -> Iterator[str]:
    datasets, shares = summary.results.datasets, summary.results.shares
    title = figure(summary.first).title
    yield f"{level} How good the detectors are"
    yield escaped(
        f"At {words.share_text(shares[0])} contamination: mean ± standard deviation over seeds, and the 95 % interval "
        f"of the mean. {BEST} marks a detector that is significantly better than every other."
    )
    if len(datasets) > 1:
        yield "Over all data sets:"
        yield table_text(tables.overall_table(summary, part))
        ranked = tables.rank_table(summary, part)
        if ranked:
            yield table_text(ranked)
    for dataset in datasets:
        yield f"{escaped(dataset)}:"
        yield table_text(tables.quality_table(summary, part, dataset))
    yield f"{level} Who differs from whom"
    if len(datasets) > 1:
        for ranking, share in ((part.rankings[summary.first], shares[0]), (part.contaminated, shares[-1])):
            if ranking is None:
                continue
            said = words.ranking_sentence(ranking, title, "{n} data sets")
            at = f"At {words.share_text(share)} contamination. {said} {words.ranking_caveat(ranking)}"
            yield escaped(at.strip())
            if isinstance(ranking.result, CriticalDifference):
                yield table_text(tables.p_table(ranking.result))
    yield escaped(words.WITHIN)
    yield table_text(tables.within_table(summary, part))
    difference = tables.difference_table(summary, part)
    if difference and part.difference:
        yield f"{level} Differences to a reference"
        yield escaped(f"{title} minus that of {part.difference.reference}, on the same seeds.")
        yield table_text(difference)
    for name, found in part.curves.items():
        if found:
            yield f"{level} Breakdown points by {figure(name).title}"
            yield table_text(tables.breakdown_table(summary, part, name))
    if part.recalls:
        yield f"{level} Recall by kind of anomaly"
        yield "When as many rows are flagged as there are anomalies; in brackets at the detector's own threshold."
        for dataset, share in dict.fromkeys((r.dataset, r.contamination) for r in part.recalls):
            yield f"{escaped(dataset)}, {words.share_text(share)} contamination:"
            yield table_text(tables.recall_table(summary, part, dataset, share))
    if part.costs:
        yield f"{level} What they cost"
        yield table_text(tables.cost_table(summary, part))


def table_text(table: Table) -> str:
    """Return a table in the syntax of GitHub."""
    rule = [":--" if k in table.words else "--:" for k in range(len(table.heads))]
    lines = [[escaped(head) or " " for head in table.heads], rule]
    for row in table.rows:
        texts = [
            f"{f'{BEST} ' if cell.best else ''}{cell.text}{f' ({cell.small})' if cell.small and cell.text else ''}"
            for cell in row
        ]
        lines.append([escaped(text) for text in texts])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{escaped(table.caption)}\n\n{text}" if table.caption else text

"""The numbers of a study's report: means, ranks, curves, costs, failures; no markup."""

from whitecrow.study.summary.summary import Part, Summary, overview, summarise

__all__ = ["Part", "Summary", "overview", "summarise"]

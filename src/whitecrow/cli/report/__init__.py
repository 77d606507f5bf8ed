"""The evaluation report: one HTML file that needs nothing else, no script and no network."""

from whitecrow.cli.report.page import Page, model_facts, render
from whitecrow.cli.report.series_page import SeriesPage, render_series

__all__ = ["Page", "SeriesPage", "model_facts", "render", "render_series"]

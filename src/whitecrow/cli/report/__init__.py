"""The evaluation report: one HTML file that needs nothing else, no script and no network."""

from whitecrow.cli.report.model_facts import model_facts
from whitecrow.cli.report.series_page import SeriesPage, render_series
from whitecrow.workspace.report.page import Page, render

__all__ = ["Page", "SeriesPage", "model_facts", "render", "render_series"]

"""The evaluation report: one HTML file that needs nothing else, no script and no network."""

from whitecrow.cli.report.page import Page, model_facts, render

__all__ = ["Page", "model_facts", "render"]

"""Figures as HTML files that need nothing else, no script and no network."""

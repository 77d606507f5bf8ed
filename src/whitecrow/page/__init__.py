"""What our HTML pages are made of: markup that escapes, parts, plots, a style sheet; no script and no network."""

"""Addresses of the files that pages load."""

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["STATIC_PATH", "asset", "script"]

STATIC_PATH = "/_console/static"
"""Where the files are served."""

_STATIC = Path(__file__).parent / "static"


@cache
def asset(name: str) -> str:
    """Return the address of a file of ``static``; it changes with the content, so that a browser keeps it for good."""
    return f"{STATIC_PATH}/{name}?{hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]}"


def script(name: str) -> str:
    """Return the element that loads a script of ``static``: it runs before the page is made, and holds up nothing."""
    return f'<script defer src="{asset(name)}"></script>'

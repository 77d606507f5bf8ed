"""The command line: parse, show, nothing else. The work is done by the floors below."""

from whitecrow.cli.app import main

__all__ = ["main"]

"""The commands, and what becomes of their errors."""

import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError, Parameter

from whitecrow.cli import data, demo, detectors, evaluate, explain, fit, inspect, reproduce, score, select, serve, study
from whitecrow.cli.console import fail
from whitecrow.core.errors import ParameterError, UnknownNameError, WhitecrowError

__all__ = ["DONE", "FAILED", "INTERRUPTED", "MISUSED", "app", "main"]

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="whitecrow",
    help="Deep anomaly detection: learn what normal looks like, score what departs from it, say why.",
    help_epilogue="Begin with: whitecrow demo. Every command takes --json, --quiet and --debug.",
    help_format="plaintext",
    version=lambda: f"whitecrow {version('whitecrow')}",
    suppress_keyboard_interrupt=False,
    # No --no-json, and no --file FILE beside FILE.
    default_parameter=Parameter(negative=()),
)
app.command(demo.demo)
app.command(fit.fit)
app.command(score.score)
app.command(explain.explain)
app.command(evaluate.evaluate)
app.command(inspect.inspect)
app.command(select.select)
app.command(serve.serve)
app.command(study.app)
app.command(reproduce.app)
app.command(data.app)
app.command(detectors.app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words of the command line; those of the process by default.

    Returns
    -------
    int
        0 done, 1 failed, 2 wrong use, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding shows a question mark where it lacks a character.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has seen enough. Python would complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt as stop:
        return fail("Interrupted", str(stop) or "Stopped.", code=INTERRUPTED, as_json=as_json, label="")
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        return fail(type(error).__name__, _message(error), code=_code(error), as_json=as_json)
    return DONE


def _code(error: Exception) -> int:
    return MISUSED if isinstance(error, (CycloptsError, ParameterError, UnknownNameError)) else FAILED


def _message(error: Exception) -> str:
    if isinstance(error, CycloptsError):
        command = " ".join(["whitecrow", *(error.command_chain or ())])
        return f"{error} See: {command} --help"
    if isinstance(error, WhitecrowError):
        return str(error)
    if isinstance(error, OSError):
        return str(error) if error.strerror is None else f"{error.strerror}: {error.filename or ''}".rstrip(": ")
    if isinstance(error, MemoryError):
        return "There is not enough memory for this. Give fewer rows or columns, or a larger machine."
    return f"{type(error).__name__}: {error} This is a fault of whitecrow; --debug shows where."

"""What a command says: results on stdout, everything else on stderr."""

import json
import math
import re
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import rich.console
from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from whitecrow.core.errors import WhitecrowWarning
from whitecrow.page.wording import clean

__all__ = ["Bar", "Console", "Options", "clean", "fail"]

_PATIENCE = 2.0  # seconds before a bar appears
_BETWEEN_LINES = 60.0  # seconds, where a bar cannot be drawn: a log has no need of more
_Flag = Annotated[bool, Parameter(show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """What every command takes."""

    json: _Flag = False
    "Write one JSON document to stdout, and nothing else."
    quiet: _Flag = False
    "Show only results and errors: no progress, no notes, no summary of what was written."
    debug: _Flag = False
    "Show the traceback of an error."

    @contextmanager
    def console(self) -> Iterator["Console"]:
        """Yield the console; warnings raised inside the block become its notes."""
        console = Console(self)

        def note(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
            console.note(str(message))

        with warnings.catch_warnings():
            # The console itself says a thing once; the filters of Python would do so once per process.
            warnings.simplefilter("always", WhitecrowWarning)
            warnings.showwarning = note
            yield console


class Console:
    """Shows results, notes and progress as the options want them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.notes: list[str] = []
        self._seen: set[str] = set()
        self._out = rich.console.Console(highlight=False)
        self._err = rich.console.Console(stderr=True, highlight=False)

    def note(self, text: str) -> None:
        """Say something the user should know, once, although nothing failed."""
        # Batches of one file warn of the same thing with other counts.
        kind = re.sub(r"\d[\d,.]*", "#", text)
        if kind in self._seen:
            return
        self._seen.add(kind)
        self.notes.append(clean(text))
        if not self.options.quiet:
            _write_line(self._err, Text.assemble(("Note: ", "bold yellow"), clean(text)))

    def say(self, text: str) -> None:
        """Tell on stderr how far a command is."""
        if not self.options.quiet and not self.options.json:
            _write_line(self._err, Text(clean(text), "dim"))

    def result(self, document: Mapping[str, Any], *shown: RenderableType) -> None:
        """Give the result of the command: the document under ``--json``, else what is to be shown.

        A plain string is one line that is not broken, however narrow the terminal is.
        """
        if self.options.json:
            text = json.dumps(_plain({**document, "warnings": self.notes}), indent=2, allow_nan=False)
            sys.stdout.write(text + "\n")
        else:
            for part in shown:
                whole = isinstance(part, str)
                self._out.print(Text(clean(part)) if whole else part, soft_wrap=whole)

    def summary(self, document: Mapping[str, Any], *shown: RenderableType) -> None:
        """Say what the command has written; under ``--quiet`` only the document is given."""
        if self.options.json or not self.options.quiet:
            self.result(document, *shown)

    @contextmanager
    def working(self, text: str, total: float | None = None) -> Iterator["Bar"]:
        """Yield a progress bar: on a terminal it appears after two seconds, elsewhere it is a line each minute."""
        bar = Bar(self._err, text, total)
        ended = threading.Event()

        def show() -> None:
            if not self._err.is_terminal:
                while not ended.wait(_BETWEEN_LINES):
                    bar.tell()
            elif not ended.wait(_PATIENCE):
                bar.start()

        if not self.options.quiet:
            threading.Thread(target=show, daemon=True).start()
        try:
            yield bar
        finally:
            ended.set()
            bar.stop()


class Bar:
    """A progress bar that may be updated before it is visible."""

    def __init__(self, console: rich.console.Console, text: str, total: float | None) -> None:
        self._console, self._text, self._total, self._done = console, text, total, 0.0
        self._progress: Any = None
        self._task: Any = None
        self._ended = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Show the bar from now on."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._ended:
                return
            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._progress.add_task(self._text, total=self._total, completed=self._done)
            self._progress.start()

    def tell(self) -> None:
        """Say in a line how far it is."""
        with self._lock:
            if not self._ended:
                share = f" ({self._done / self._total:.0%})" if self._total else ""
                _write_line(self._console, Text(f"{self._text}{share}", "dim"))

    def update(self, text: str | None = None, done: float | None = None, total: float | None = None) -> None:
        """Change the text, what is done, or what there is to do."""
        with self._lock:
            self._text = self._text if text is None else clean(text)
            self._done = self._done if done is None else done
            self._total = self._total if total is None else total
            if self._progress is not None:
                self._progress.update(self._task, description=self._text, completed=self._done, total=self._total)

    def stop(self) -> None:
        """Remove the bar."""
        with self._lock:
            self._ended = True
            if self._progress is not None:
                self._progress.stop()


def fail(kind: str, message: str, *, code: int, as_json: bool, label: str = "Error: ") -> int:
    """Report in one paragraph what ended a command, and return the exit code."""
    text = " ".join(clean(message).split())
    if as_json:
        sys.stdout.write(json.dumps({"error": {"kind": kind, "message": text}}, indent=2) + "\n")
    _write_line(rich.console.Console(stderr=True, highlight=False), Text.assemble((label, "bold red"), text))
    return code


def _write_line(console: rich.console.Console, text: Text) -> None:
    # Lines that go to a file are left whole, so that they can be searched.
    console.print(text, soft_wrap=not console.is_terminal)


def _plain(value: Any) -> Any:
    """Return a value in JSON's own types: what is not finite becomes None, the unknown becomes text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return [_plain(entry) for entry in value]
    return str(value)

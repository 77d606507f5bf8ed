"""Alert rules at work: records that are scored are held against them, and deliveries made in the background."""

import csv
import io
import json
import logging
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.workspace.alert_rules import AlertRule, AlertRules, DeliveryState
from whitecrow.workspace.database import Database, now
from whitecrow.workspace.webhook import Destination, Outcome, deliver

__all__ = ["Alerting"]

_log = logging.getLogger("whitecrow.workspace")
_WAITING = 1000  # deliveries
_LISTED = 50  # records of a delivery
_LONGEST_CELL = 500  # characters
_LARGEST_FILE = 100 << 20  # bytes
_FRESH = 5.0  # seconds that rules are kept, for another process may change them
_HEADS = ("at", "rule", "run", "version", "row", "score", "p_value", "values")

Floats = NDArray[np.float64]


class _Event(NamedTuple):
    rule: AlertRule
    delivery: str
    document: dict[str, Any]


class Alerting:
    """The rules of a workspace at work. Nothing is sent before hosts are allowed and :meth:`start` is called.

    Parameters
    ----------
    folder : Path
        Of the workspace; files of rules are in its folder ``alerts``.
    database : Database
        Its database.
    backoff : tuple of float, default=(1, 5, 25)
        Seconds before each further attempt.
    timeout : float, default=5
        Seconds for each step of an attempt.

    Attributes
    ----------
    rules : AlertRules
    allowed : frozenset of str
        Hosts that webhooks may reach; none at first.
    """

    def __init__(
        self, folder: Path, database: Database, *, backoff: tuple[float, ...] = (1.0, 5.0, 25.0), timeout: float = 5.0
    ) -> None:
        self._folder = folder / "alerts"
        self.rules = AlertRules(database)
        self.allowed: frozenset[str] = frozenset()
        self._backoff, self._timeout = backoff, timeout
        self._queue: queue.Queue[_Event | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._turn = threading.Lock()
        self._known: tuple[float, list[AlertRule]] = (-np.inf, [])
        self._recent: dict[str, deque[float]] = {}

    # ---- rules ----------------------------------------------------------------------------------------------------

    def allow(self, hosts: Collection[str]) -> None:
        """Let webhooks reach these hosts and no others."""
        self.allowed = frozenset(host.lower().strip("[]") for host in hosts)

    def add(self, run: str, condition: Any, value: float, **options: Any) -> tuple[AlertRule, str]:
        """Add a rule whose host is allowed; see :meth:`AlertRules.add`."""
        if options.get("url") is not None:
            Destination.of(options["url"], self.allowed)
        made = self.rules.add(run, condition, value, **options)
        self._forget()
        return made

    def remove(self, key: str, *, actor: str = "") -> None:
        """Delete a rule; see :meth:`AlertRules.remove`."""
        self.rules.remove(key, actor=actor)
        self._forget()

    def test(self, key: str) -> Outcome:
        """Make one delivery at once, marked as a test, and return what came of it.

        Raises
        ------
        UnknownNameError
            If there is no such rule.
        """
        rule = self.rules.get(key)
        document = {**_head(rule, None), "test": True, "count": 0, "records": []}
        outcome = self._attempt(_Event(rule, secrets.token_hex(8), document))
        self._note(rule, "delivered" if outcome.delivered else "failed", f"Test: {outcome.detail}")
        return outcome

    # ---- records --------------------------------------------------------------------------------------------------

    def watches(self, run: str) -> bool:
        """Return whether a run has rules; this takes microseconds."""
        return any(rule.run == run for rule in self._current())

    def consider(
        self,
        run: str,
        version: str,
        rows: pl.DataFrame,
        scores: Floats,
        flags: NDArray[np.bool_],
        p_values: Floats | None = None,
    ) -> int:
        """Hold records that were just scored against the rules of a run; return how many deliveries that makes.

        All records of a call that meet a rule are one delivery, which lists the most anomalous of them.

        Parameters
        ----------
        run, version : str
            Run, and the version of its model.
        rows : polars.DataFrame, shape [N, C]
            The records.
        scores, flags : ndarray, shape [N]
            What the model made of them.
        p_values : ndarray, shape [N], optional
            None where the model has none; rules on p-values are not met then.
        """
        made = 0
        for rule in self._current():
            if rule.run != run:
                continue
            met = self._met(rule, scores, flags, p_values)
            if not len(met):
                continue
            document = {**_head(rule, version), "test": False, **_records(met, rows, scores, p_values)}
            self._put(_Event(rule, secrets.token_hex(8), document))
            made += 1
        return made

    def _met(
        self, rule: AlertRule, scores: Floats, flags: NDArray[np.bool_], p_values: Floats | None
    ) -> NDArray[np.intp]:
        if rule.condition == "score":
            return np.flatnonzero(scores >= rule.value)
        if rule.condition == "p_value":
            return np.flatnonzero([] if p_values is None else p_values <= rule.value)
        assert rule.seconds is not None
        flagged, moment = np.flatnonzero(flags), time.monotonic()
        with self._turn:
            recent = self._recent.setdefault(rule.id, deque(maxlen=int(rule.value)))
            while recent and recent[0] < moment - rule.seconds:
                recent.popleft()
            recent.extend([moment] * min(len(flagged), int(rule.value)))
            if len(recent) < rule.value:
                return flagged[:0]
            # Counted from nothing again, so that one burst is one delivery.
            recent.clear()
        return flagged

    # ---- deliveries -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to deliver."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._work, name="whitecrow-alerts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Deliver nothing any more; what waits is recorded as dropped."""
        if self._thread is None:
            return
        self._ended.set()
        with suppress(queue.Full):  # then the thread is awake
            self._queue.put_nowait(None)
        self._thread.join(timeout=4 * self._timeout)
        self._thread = None

    def wait(self) -> None:
        """Return once all that was asked for has been done, or given up."""
        self._queue.join()

    def _put(self, event: _Event) -> None:
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._note(event.rule, "dropped", f"{_WAITING} deliveries wait already.")

    def _work(self) -> None:
        while True:
            event = self._queue.get()
            try:
                if event is not None and self._ended.is_set():
                    self._note(event.rule, "dropped", "The server ended before it was delivered.")
                elif event is not None:
                    self._deliver(event)
            except Exception:
                # Whatever one delivery meets, the next ones are due.
                _log.exception("a delivery of an alert rule failed")
            finally:
                self._queue.task_done()
            if self._ended.is_set() and self._queue.empty():
                return

    def _deliver(self, event: _Event) -> None:
        outcome = self._attempt(event)
        for wait in self._backoff:
            if outcome.delivered or not outcome.again:
                break
            _log.info("alert rule %s: %s Tried again in %g s.", event.rule.id, outcome.detail, wait)
            if self._ended.wait(wait):
                break
            outcome = self._attempt(event)
        self._note(event.rule, "delivered" if outcome.delivered else "failed", outcome.detail)

    def _attempt(self, event: _Event) -> Outcome:
        if event.rule.action == "csv":
            return self._append(event)
        assert event.rule.url is not None
        body = json.dumps(event.document, allow_nan=False).encode()
        secret = self.rules.secret(event.rule.id)
        return deliver(
            event.rule.url, body, secret, event.delivery, allowed=self.allowed, timeout=self._timeout
        )  # fmt: skip

    def _append(self, event: _Event) -> Outcome:
        """Append a line for each record to the rule's file."""
        text, document = io.StringIO(), event.document
        writer = csv.writer(text)
        file = self._folder / f"{event.rule.id}.csv"
        try:
            self._folder.mkdir(exist_ok=True)
            size = file.stat().st_size if file.exists() else 0
            if size > _LARGEST_FILE:
                return Outcome(delivered=False, again=False, detail=f"{file.name} is full. Move it away.")
            if not size:
                writer.writerow(_HEADS)
            for record in document["records"] or ([{}] if document["test"] else []):
                writer.writerow(
                    (
                        document["at"], event.rule.id, document["run"], document["version"], record.get("row"),
                        record.get("score"), record.get("p_value"), json.dumps(record.get("values", {})),
                    )
                )  # fmt: skip
            with file.open("a", encoding="utf-8", newline="") as stream:
                stream.write(text.getvalue())
        except OSError as error:
            return Outcome(delivered=False, again=True, detail=f"{file.name} cannot be written: {error.strerror}.")
        return Outcome(delivered=True, again=False, detail=f"Appended to alerts/{file.name}.")

    def _note(self, rule: AlertRule, state: DeliveryState, detail: str) -> None:
        if state != "delivered":
            _log.warning("alert rule %s: %s: %s", rule.id, state, detail)
        self.rules.note(rule.id, state, detail)

    def _current(self) -> list[AlertRule]:
        at, rules = self._known
        if time.monotonic() - at > _FRESH:
            rules = self.rules.all()
            self._known = time.monotonic(), rules
        return rules

    def _forget(self) -> None:
        self._known = -np.inf, []


def _head(rule: AlertRule, version: str | None) -> dict[str, Any]:
    condition = {"kind": rule.condition, "value": rule.value, "seconds": rule.seconds, "words": rule.words}
    named = {"id": rule.id, "name": rule.name, "condition": condition}
    return {"at": now(), "rule": named, "run": rule.run, "version": version}


def _records(met: NDArray[np.intp], rows: pl.DataFrame, scores: Floats, p_values: Floats | None) -> dict[str, Any]:
    """Return how many records met a rule, and the most anomalous of them."""
    kept = met[np.argsort(-scores[met], kind="stable")][:_LISTED]
    listed = [
        {
            "row": int(k),
            "score": _plain(float(scores[k])),
            "p_value": None if p_values is None else _plain(float(p_values[k])),
            "values": {name: _plain(cell) for name, cell in values.items()},
        }
        for k, values in zip(kept.tolist(), rows[kept].to_dicts(), strict=True)
    ]
    return {"count": len(met), "records": listed}


def _plain(cell: Any) -> Any:
    """Return a cell as JSON has it: what is not finite is null, what is no number, text or truth value is text."""
    if cell is None or isinstance(cell, (bool, int)):
        return cell
    if isinstance(cell, float):
        return cell if np.isfinite(cell) else None
    return str(cell)[:_LONGEST_CELL]

"""What the endpoints of one application share."""

import os
import shutil
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends
from starlette.requests import HTTPConnection

from whitecrow.core.processes import started
from whitecrow.detectors import Detector
from whitecrow.server.batching import MicroBatcher
from whitecrow.server.bodies import TableBody
from whitecrow.server.metrics import Metrics
from whitecrow.server.settings import Settings
from whitecrow.server.work import Work
from whitecrow.workspace import Workspace

__all__ = ["Context", "Here", "Incoming", "model_headers", "model_of"]

_KEPT_MODELS = 8


class Incoming:
    """A folder of this process for files that are on their way into a workspace.

    Parameters
    ----------
    workspace : pathlib.Path
        Its folder.
    """

    def __init__(self, workspace: Path) -> None:
        self._all = workspace / "incoming"
        self.folder = self._all / f"{os.getpid()}-{started(os.getpid()) or 0}"

    def open(self) -> None:
        """Make the folder, and remove those of processes that have gone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for other in self._all.iterdir():
            pid, _, began = other.name.partition("-")
            if not (pid.isdecimal() and str(started(int(pid)) or 0) == began) and other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(eq=False)
class Context:
    """What the endpoints of one application share.

    Parameters
    ----------
    workspace : Workspace
    settings : Settings
    metrics : Metrics
    """

    workspace: Workspace
    settings: Settings
    metrics: Metrics
    work: Work = field(init=False)
    body: TableBody = field(init=False)
    batcher: MicroBatcher = field(init=False)
    incoming: Incoming = field(init=False)
    streams: int = 0
    """Websockets that are open."""
    followers: int = 0
    """Requests that follow a run's events."""
    rule_tests: int = 0
    """Test deliveries of alert rules under way."""

    def __post_init__(self) -> None:
        self.work = Work(self.settings.work_seconds)
        self.body = TableBody(self.settings)
        self.batcher = MicroBatcher(self.settings, observe=self.metrics.observe_batch)
        self.metrics.watch_waiting(lambda: self.batcher.waiting)
        self.incoming = Incoming(self.workspace.folder)
        self._models: OrderedDict[tuple[str, str], Detector] = OrderedDict()

    async def model(self, run: str) -> tuple[str, Detector]:
        """Return the version of a run's model and the detector, which only scoring through the batcher may use.

        Raises
        ------
        UnknownNameError
            If there is no such run.
        WorkspaceError
            If it has no model.
        """
        version = self.workspace.runs.version(run)  # in less time than it takes to hand it to a thread
        detector = self._models.get((run, version))
        if detector is None:
            detector = await self.work.heavy(self.workspace.detector, run)
            # Requests with the same object are scored together, so the first one to arrive stays.
            detector = self._models.setdefault((run, version), detector)
        self._models.move_to_end((run, version))
        while len(self._models) > _KEPT_MODELS:
            self._models.popitem(last=False)
        return version, detector


async def _context(connection: HTTPConnection) -> Context:
    return connection.app.state.context


Here = Annotated[Context, Depends(_context)]
"""The context of the application, for an endpoint's signature."""


def model_of(record: Any) -> dict[str, Any]:
    """Return what every answer says of the model that it rests on.

    Parameters
    ----------
    record : RunRecord
        Of a run that is done.
    """
    return {
        "run": record.id,
        "version": record.version,
        "model_threshold": record.threshold,
        "threshold_source": record.threshold_source,
    }


def model_headers(model: dict[str, Any]) -> dict[str, str]:
    """Return the same as headers, for answers that are no JSON; the source is percent-encoded UTF-8."""
    return {
        "X-Run": model["run"],
        "X-Model-Version": model["version"],
        "X-Threshold": repr(model["model_threshold"]),
        "X-Threshold-Source": quote(model["threshold_source"], safe=" ;:,.()"),
    }

"""A server over a small workspace, with runs that are done, and a client that speaks to it without a network."""

import json
import warnings
from collections.abc import Iterator

import pytest
from tests.workspace.conftest import small_table, wait

from whitecrow.server.app import create_app
from whitecrow.server.settings import Settings
from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule, Workspace

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a newer starlette would rather have httpx's successor
    from starlette.testclient import TestClient

BASE = "http://127.0.0.1:8000"
LIMITS = {
    "max_body_bytes": 1 << 20, "max_json_bytes": 1 << 19, "max_rows": 5000, "max_columns": 50, "max_cells": 100_000,
    "max_decoded_bytes": 8 << 20,
}  # fmt: skip


@pytest.fixture(scope="session")
def space(tmp_path_factory) -> Workspace:
    """A workspace with a data set."""
    made = Workspace(tmp_path_factory.mktemp("served") / "space")
    made.datasets.add(small_table(), "Traffic", settings=DatasetSettings(label="label", ignore=("at",)))
    return made


@pytest.fixture(scope="session")
def dataset(space) -> str:
    """Id of the data set."""
    return space.datasets.all()[-1].id


@pytest.fixture(scope="session")
def client(space) -> Iterator[TestClient]:
    """Speaks to a server of the workspace, whose queue is worked."""
    with TestClient(create_app(space, Settings(**LIMITS)), base_url=BASE) as speaker:
        yield speaker


@pytest.fixture(scope="session")
def run(space, client, dataset) -> str:
    """Id of a run of principal components that is done."""
    return wait(space, space.jobs.submit(FitRequest(dataset, "pca", split=SplitRule("order"))).id).id


@pytest.fixture(scope="session")
def other(space, client, dataset) -> str:
    """Id of a run of an isolation forest that is done."""
    request = FitRequest(dataset, "isolation-forest", {"n_estimators": 20}, split=SplitRule("order"))
    return wait(space, space.jobs.submit(request).id).id


@pytest.fixture(scope="session")
def rows():
    """The columns that the models read."""
    return small_table().drop("at", "label")


class Socket:
    """A websocket of the server."""

    def __init__(self, session) -> None:
        self._session = session

    def say(self, **message) -> None:
        self._session.send_text(json.dumps(message))

    def raw(self, text: str) -> None:
        self._session.send_text(text)

    def hear(self, kind: str | None = None) -> dict:
        """Return the next message, or the next of a kind."""
        while True:
            message = json.loads(self._session.receive_text())
            if kind in (None, message["type"]):
                return message


@pytest.fixture
def socket(client) -> Iterator[Socket]:
    """An open websocket of the stream."""
    with client.websocket_connect("ws://127.0.0.1:8000/api/stream") as session:
        yield Socket(session)


@pytest.fixture
def problem():
    """Return a function that checks that an answer is a problem document of a status, and returns it."""

    def checked(answer, status: int) -> dict:
        assert answer.status_code == status, answer.text[:500]
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        return answer.json()

    return checked

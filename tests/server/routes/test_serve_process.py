"""A real ``whitecrow serve`` that is killed in the midst of its work, and started again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
from tests.workspace.conftest import small_table

from whitecrow.workspace import Workspace
from whitecrow.workspace.demo import DEMO_DETECTORS

LONG = {"epochs": 200_000, "validation": 0.0}
TOKEN = "a-token-of-many-letters"


class Served:
    """A server process and a client of it."""

    def __init__(self, python: str, *words: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [python, "-m", "whitecrow.cli", *words, "--port", str(self.port)]
        environment = {**os.environ, "WHITECROW_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
        )
        self.until(self._ready)

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.process.stderr.read().decode()
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/ready").status_code == 200
        return False

    def until(self, condition, seconds: float = 60.0):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end
            time.sleep(0.05)
        return found

    def run(self, key: str) -> dict:
        return self.client.get(f"/api/runs/{key}").json()

    def half_an_upload(self) -> socket.socket:
        """Begin to send a file, and stop in the midst of it."""
        data = small_table().write_csv().encode()
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="half.csv"\r\n\r\n'
        connection = socket.create_connection(("127.0.0.1", self.port))
        length = len(head) + len(data) + 10
        connection.sendall(
            f"POST /api/datasets HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n\r\n".encode()
            + head
            + data[: len(data) // 2]
        )
        return connection

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.client.close()
        with self.process:
            self.said = self.process.communicate(timeout=60)[0].decode()
        return self.process.returncode


@pytest.fixture
def serve(preloaded_python, tmp_path):
    """Return a function that starts a server, by default of the same workspace."""
    started = []

    def start(*words: str) -> Served:
        started.append(Served(preloaded_python, *(words or ("serve", "--workspace", str(tmp_path / "space")))))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def test_a_kill_loses_nothing_that_was_acknowledged_and_leaves_nothing_half_written(serve, tmp_path):
    server = serve()
    files = {"file": ("t.csv", small_table().write_csv())}
    form = {"settings": '{"label": "label", "ignore": ["at"]}'}
    dataset = server.client.post("/api/datasets", files=files, data=form).json()["id"]
    done = server.client.post("/api/runs", json={"dataset": dataset, "detector": "pca"}).json()["id"]
    server.until(lambda: server.run(done)["state"] == "done")
    wish = {"run": done, "condition": "score", "value": 3.0}
    rule = server.client.post("/api/rules", json=wish).json()["id"]
    fit = {"dataset": dataset, "detector": "autoencoder", "parameters": LONG}
    fitting = server.client.post("/api/runs", json=fit).json()["id"]
    server.until(lambda: server.run(fitting)["epoch"])

    acknowledged: list[int] = []
    uploaded: list[str] = [dataset]

    def judge() -> None:
        with contextlib.suppress(httpx.TransportError):
            for row in range(300):
                answer = server.client.post(f"/api/runs/{done}/feedback", json={"rows": [row], "verdict": "confirmed"})
                if answer.status_code == 201:
                    acknowledged.append(row)

    def upload() -> None:
        with contextlib.suppress(httpx.TransportError):
            for _ in range(300):
                answer = server.client.post("/api/datasets", files=files, data=form)
                if answer.status_code == 201:
                    uploaded.append(answer.json()["id"])

    busy = [threading.Thread(target=one) for one in (judge, upload)]
    for thread in busy:
        thread.start()
    half = server.half_an_upload()
    server.until(lambda: len(acknowledged) >= 5 and len(uploaded) >= 3)
    server.process.send_signal(signal.SIGKILL)
    for thread in busy:
        thread.join()
    half.close()
    server.end(signal.SIGKILL)

    again = serve()
    shown = [one["id"] for one in again.client.get("/api/datasets").json()["datasets"]]
    # What was written when the server was killed may be there though nobody was told; what was told must be.
    assert set(uploaded) <= set(shown)
    assert len(shown) <= len(uploaded) + 1
    for key in shown:
        assert again.client.get(f"/api/datasets/{key}/rows").json()["total"] == 300
    assert sorted(path.name for path in (tmp_path / "space" / "datasets").iterdir()) == sorted(shown)
    assert again.client.get(f"/api/rules/{rule}").json()["value"] == 3.0
    verdicts = [one["row"] for one in again.client.get(f"/api/runs/{done}/feedback").json()["verdicts"]]
    assert verdicts in (acknowledged, [*acknowledged, len(acknowledged)])
    assert len(list((tmp_path / "space" / "incoming").iterdir())) == 1

    assert again.run(done)["state"] == "done"
    assert again.client.get(f"/api/runs/{done}/figures").status_code == 200
    assert again.run(fitting)["state"] == "interrupted"
    epoch = again.run(fitting)["epoch"]
    assert epoch > 0
    assert again.client.post(f"/api/runs/{fitting}/resume").status_code == 202
    again.until(lambda: again.run(fitting)["epoch"] > epoch)
    assert again.run(fitting)["state"] == "running"

    # Ctrl-C ends a server as it should, and its fits are interrupted.
    assert again.end(signal.SIGINT) == 0
    assert f"http://127.0.0.1:{again.port}" in again.said
    assert list((tmp_path / "space" / "incoming").iterdir()) == []
    assert Workspace(tmp_path / "space").runs.get(fitting).state == "interrupted"


def test_the_demo_opens_a_console_with_data_on_which_its_detectors_are_fitted(serve, tmp_path):
    server = serve("demo", "--serve", "--out", str(tmp_path / "demo"))
    (dataset,) = server.client.get("/api/datasets").json()["datasets"]
    assert (dataset["rows"], dataset["synthetic"]) == (20_000, True)
    runs = server.client.get("/api/runs").json()["runs"]
    assert {run["detector"] for run in runs} == set(DEMO_DETECTORS)
    assert server.client.get("/").status_code == 200
    # The queue is worked without another click.
    server.until(lambda: any(server.run(run["id"])["state"] in ("running", "done") for run in runs))
    assert server.end(signal.SIGINT) == 0
    assert f"http://127.0.0.1:{server.port}" in server.said


def test_a_port_that_is_taken_and_a_host_without_a_token_are_errors(preloaded_python, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "WHITECROW_TOKEN"}

    def served(*words: str) -> subprocess.CompletedProcess:
        command = [preloaded_python, "-m", "whitecrow.cli", "serve", "--workspace", str(tmp_path / "space"), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = served("--port", str(taken.getsockname()[1]))
    assert found.returncode == 1
    assert "cannot be listened on" in found.stderr
    found = served("--host", "0.0.0.0")
    assert found.returncode == 2
    assert "token" in found.stderr
    assert not (tmp_path / "space").exists()


def test_the_help_of_the_command_line_imports_no_server():
    code = (
        "import sys; from whitecrow.cli.app import main; main(['--help']); main(['serve', '--help']); "
        "print([m for m in ('fastapi', 'uvicorn', 'nicegui', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip().endswith("[]")
    assert "WHITECROW_TOKEN" in found.stdout

"""A console on a free port of this machine, and a browser that reaches nothing else.

One process has one console (NiceGUI has one application), so all browser tests share it: they ask for ``emptied`` or
``filled`` and may rely on nothing more. Skipped where there is no Chromium.
"""

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from whitecrow.workspace import Workspace, demo
from whitecrow.workspace.demo import Demo, fill_with_demo
from whitecrow.workspace.runs import ENDED

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # Every new window would load the pages of the address bar, which take longer than ours; the rest is Playwright's.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,HttpsUpgrades,MediaRouter,OptimizationHints,Translate",
)  # fmt: skip

_PATIENCE = 20_000  # ms


@dataclass(frozen=True)
class Console:
    """A console that answers at ``base``."""

    base: str
    workspace: Workspace

    def wait(self, seconds: float = 90.0) -> None:
        """Return once no run is under way."""
        end = time.monotonic() + seconds
        while any(run.state not in ENDED for run in self.workspace.runs.all()):
            assert time.monotonic() < end, "runs are still under way"
            time.sleep(0.05)


@pytest.fixture(scope="session")
def console(tmp_path_factory) -> Iterator[Console]:
    """A console over a workspace of its own, on the server's application."""
    uvicorn = pytest.importorskip("uvicorn", reason="the serve extra is not installed")
    pytest.importorskip("nicegui", reason="the serve extra is not installed")
    from whitecrow.dashboard import mount
    from whitecrow.server.app import create_app
    from whitecrow.server.settings import Settings

    workspace = Workspace(tmp_path_factory.mktemp("console") / "space")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    app = create_app(workspace, Settings(port=port))
    mount(app, workspace)
    # The default protocol for websockets warns of its own deprecation.
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="websockets-sansio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server has not started"
        time.sleep(0.02)
    # What is simulated here is a tenth of what users get: the clock is ours.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_ROWS", 2_000)
        patch.setattr(demo, "DEMO_DETECTORS", {**demo.DEMO_DETECTORS, "autoencoder": {"epochs": 5}})
        yield Console(f"http://127.0.0.1:{port}", workspace)
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def emptied(console) -> Console:
    """The console over an empty workspace."""
    for run in console.workspace.runs.all():
        if run.state not in ENDED:
            console.workspace.jobs.cancel(run.id)
    console.wait()
    for run in console.workspace.runs.all():
        console.workspace.runs.remove(run.id)
    for dataset in console.workspace.datasets.all():
        console.workspace.datasets.remove(dataset.id)
    return console


@pytest.fixture
def filled(console) -> Demo:
    """The demo's data set and runs, done; fitted once, by whoever needs them first."""
    fill_with_demo(console.workspace)
    console.wait()
    return fill_with_demo(console.workspace)


@pytest.fixture(scope="module")
def chromium():
    """A headless browser, for one file of tests: while it is there, no other test can run an event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; name one in the variable CHROMIUM")
    # As long as for what is clicked: the first page of a process waits for imports.
    playwright.expect.set_options(timeout=_PATIENCE)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page did that it should not have."""

    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture
def visit(chromium, console) -> Iterator[Callable[..., object]]:
    """Return a function that opens an address in a browser of its own.

    At the end no page may have asked another host for anything, nor said an error on its console.
    """
    watch, contexts = Watch(), []
    ours = urlsplit(console.base).netloc

    def only_ours(route):
        if urlsplit(route.request.url).netloc == ours:
            route.continue_()
        else:
            watch.outside.append(route.request.url)
            route.abort()

    def heard(message):
        # A table that asks while its page is being left is answered that the page has been closed.
        left = "/_console/rows" in message.location["url"] and "404" in message.text
        if message.type == "error" and not left:
            watch.errors.append(message.text)

    def opened(path="/", *, dark=False, width=1280, height=900):
        context = chromium.new_context(
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
            base_url=console.base,
        )
        contexts.append(context)
        context.set_default_timeout(_PATIENCE)
        context.route(re.compile("^https?:"), only_ours)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: watch.errors.append(str(error)))
        page.on("websocket", lambda ws: urlsplit(ws.url).netloc == ours or watch.outside.append(ws.url))
        page.goto(path)
        page.locator("h1").wait_for()
        # Until then the page shows, and answers nothing.
        page.wait_for_function("document.documentElement.dataset.keys === 'ready'")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watch.outside == []
    assert watch.errors == []

"""Take the pictures of the console that the documentation shows: ``python docs/console_pictures.py [NAME ...]``.

A workspace is filled with what the console offers by itself (simulated traffic, digits, simulated heartbeats), a run
that was watched, verdicts and a rule; then every screen is photographed in light and in dark, by Chromium.
"""

import io
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

from whitecrow.dashboard import mount
from whitecrow.data.traffic import traffic_table
from whitecrow.server.app import create_app
from whitecrow.server.settings import Settings
from whitecrow.workspace import FitRequest, SplitRule, Workspace
from whitecrow.workspace.demo import fill_with_demo
from whitecrow.workspace.drawing_demo import fit_drawing_demo
from whitecrow.workspace.parts import Part
from whitecrow.workspace.runs import ENDED

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OUT = Path(__file__).parent / "images" / "console"
WIDTH, HEIGHT, TALLEST = 1280, 1000, 2200
SETTLED = 1500  # ms for what is drawn after a page has come


class Shot(NamedTuple):
    """One picture: an address, what is done there, and whether the page is shown beyond the window."""

    name: str
    path: str
    prepare: "Callable[[Page], None] | None" = None
    whole: bool = True


def waited(space: Workspace) -> None:
    """Return once no run is under way."""
    while any(run.state not in ENDED for run in space.runs.all()):
        time.sleep(0.1)


def filled(space: Workspace) -> list[Shot]:
    """Fill a workspace; return what is photographed."""
    demo = fill_with_demo(space)
    drawing = fit_drawing_demo(space)
    split = SplitRule("random", share=0.5, injected=0.01)
    watched = FitRequest(
        demo.dataset.id, "autoencoder", {"epochs": 12, "latent_dim": 3}, split=split, watch=True, name="watched"
    )
    lab = space.jobs.submit(watched)
    later = traffic_table(rows=6_000, attack_rate=0.04, seed=5).with_columns(pl.col("bytes_in", "bytes_out") * 3)
    moved = space.datasets.add(later, "A month later", settings=demo.dataset.settings, synthetic=True)
    waited(space)
    runs = [run.id for run in demo.runs]
    scores = space.scores(runs[0])
    alarming = np.argsort(np.where(scores.part == Part.TEST, scores.score, -np.inf))[-4]
    space.alerting.add(runs[0], "count", 20, name="Many at once", seconds=60.0)
    space.alerting.add(runs[0], "p_value", 0.001, name="Rare")
    query = "&".join(f"run={run}" for run in runs)
    return [
        Shot("overview", "/"),
        Shot("explore", f"/explore?{query}"),
        Shot("explore-record", f"/explore?{query}&record={alarming}", whole=False),
        Shot("timeline", f"/explore?run={runs[0]}", timeline),
        Shot("compare", f"/compare?{query}", compared),
        Shot("stream", f"/stream?{query}", race),
        Shot("triage", f"/triage?run={runs[0]}", judged),
        Shot("drift", f"/drift?run={runs[1]}&dataset={moved.id}"),
        Shot("rules", f"/rules?run={runs[0]}"),
        Shot("lab", f"/lab?run={lab.id}"),
        Shot("draw-digit", f"/draw?run={drawing.digits.id}", example("9")),
        Shot("draw-heartbeat", f"/draw?run={drawing.beats.id}", example("")),
        Shot("data", f"/data?dataset={demo.dataset.id}"),
        Shot("runs", "/runs"),
    ]


def timeline(page: "Page") -> None:
    """Give the timeline a lane for each service, and bring it to the top."""
    page.get_by_role("combobox", name="A lane for each").click()
    page.get_by_role("option", name="Value of service", exact=True).click()
    page.wait_for_timeout(SETTLED)
    page.locator("section[aria-label=Timeline]").evaluate("(e) => window.scrollTo(0, e.offsetTop - 90)")


def compared(page: "Page") -> None:
    """Wait until resampling has given the intervals."""
    page.get_by_text("runs are being compared").wait_for(state="hidden")


def race(page: "Page") -> None:
    """Let the detectors race until their pace has settled."""
    page.emulate_media(reduced_motion="no-preference")  # which shows four frames a second
    page.locator("[data-wcs-do=toggle]").click()
    page.wait_for_function("Number(document.querySelector('[data-wcs=position]').dataset.value) > 8000")
    page.locator("[data-wcs-do=toggle]").click()


def judged(page: "Page") -> None:
    """Give some verdicts by keyboard."""
    for key in "yynyu":
        page.keyboard.press(key)
        page.wait_for_timeout(SETTLED // 3)


def example(kind: str) -> "Callable[[Page], None]":
    """Return what loads the first example of a class."""

    def load(page: "Page") -> None:
        page.locator("canvas[data-ready=true]").wait_for()
        if kind:
            page.get_by_role("combobox", name="Class").click()
            page.get_by_role("option", name=kind, exact=True).click()
            page.wait_for_timeout(SETTLED)
        page.get_by_role("button", name="Load ").first.click()

    return load


@contextmanager
def served(space: Workspace) -> Iterator[str]:
    """Serve a workspace from a thread; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = create_app(space, Settings(port=port))
    mount(app, space)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def photographed(browser: "Browser", base: str, shot: Shot, *, dark: bool) -> Path:
    """Take a picture, and return its file."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(
        base_url=base,
        color_scheme=scheme,
        reduced_motion="reduce",
        viewport={"width": WIDTH, "height": HEIGHT},
    )
    page = context.new_page()
    page.goto(shot.path)
    page.wait_for_function("document.documentElement.dataset.keys === 'ready'")
    page.wait_for_timeout(SETTLED)
    if shot.prepare is not None:
        shot.prepare(page)
        page.wait_for_timeout(SETTLED)
    top = page.evaluate("window.scrollY")
    tall = page.evaluate("document.documentElement.scrollHeight") - top if shot.whole else HEIGHT
    page.set_viewport_size({"width": WIDTH, "height": int(min(max(tall, HEIGHT), TALLEST))})
    page.wait_for_timeout(SETTLED)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    path = OUT / f"{shot.name}-{scheme}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def main(names: list[str]) -> None:
    """Photograph the screens of these names, or all."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("There is no Chromium; name one in the variable CHROMIUM.")
    with tempfile.TemporaryDirectory() as folder:
        space = Workspace(Path(folder) / "demo")
        with served(space) as base, sync_playwright() as started:
            shots = filled(space)
            browser = started.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
            for shot in shots:
                if not names or shot.name in names:
                    for dark in (False, True):
                        sys.stdout.write(f"{photographed(browser, base, shot, dark=dark)}\n")
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])

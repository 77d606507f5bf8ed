"""Measure the console in a browser: moves of the threshold, first screen and rows, the timeline, a race of detectors.

Run ``python benchmarks/console.py``; it ends by itself. It fills a workspace with two tables of scored rows and the
demonstration, serves it, and drives Chromium. Times are taken within the page, from the moment of an input or of the
navigation to the end of the frame that shows what is waited for. ``--workspace`` keeps the folder for another time.
"""

import argparse
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from whitecrow.workspace import DatasetSettings, FitRequest, SplitRule, Workspace
from whitecrow.workspace.demo import DEMO_NAME, fill_with_demo
from whitecrow.workspace.runs import ENDED

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZES = (100_000, 1_000_000)
DETECTOR = "pca"
RATE = 1_000
KEYS = ("ArrowRight", "ArrowRight", "PageUp", "ArrowLeft", "ArrowLeft", "PageDown")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    # Every new window would load the pages of the address bar beside ours; the rest is Playwright's.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,HttpsUpgrades,MediaRouter,OptimizationHints,Translate",
)  # fmt: skip

# What runs in every page before its own scripts. A frame that shows something has ended when the task after it runs.
PROBE = """
(() => {
  const first = {};
  const afterPaint = (tell) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => tell(performance.now());
    port2.postMessage(0);
  });
  // Reading pixels back would slow down what is measured: what a chart paints in a frame is in its list before.
  const drawn = (node) => {
    const chart = window.getElement?.(Number(node.id.slice(1)))?.chart;
    return chart && chart.getZr().storage.getDisplayList().length > 0;
  };
  const conditions = {
    screen: () => document.querySelector(".wc-main h1") && document.querySelector(".wc-card, .wc-figure"),
    figures: () => document.querySelector("[data-wct=alerts]")?.dataset.value,
    rows: () => [...document.querySelectorAll(".ag-center-cols-container .ag-cell")].some((one) => one.textContent),
    timeline: () => {
      const charts = [...document.querySelectorAll("section[aria-label=Timeline] .nicegui-echart")];
      return charts.length >= 3 && charts.every(drawn);
    },
  };
  const watch = () => {
    for (const [name, holds] of Object.entries(conditions)) {
      if (!(name in first) && holds()) {
        first[name] = null;
        afterPaint((now) => { first[name] = now; });
      }
    }
    if (performance.now() < 120000) requestAnimationFrame(watch);
  };
  window.probe = {
    first,
    // Resolves with the milliseconds from the next event of a kind to the end of the frame in which a condition holds.
    from(kind, holds) {
      this.took = new Promise((resolve) => {
        const begin = (event) => {
          const began = event.timeStamp;
          const look = () => afterPaint((now) => (holds() ? resolve(now - began) : look()));
          look();
        };
        window.addEventListener(kind, begin, { capture: true, once: true });
      });
    },
    // Frames of the page, and changes of a text, over some milliseconds.
    count(selector, milliseconds) {
      return new Promise((resolve) => {
        const node = document.querySelector(selector);
        const began = performance.now();
        const from = Number(node.dataset.value);
        let [frames, changes, last, longest, before] = [0, 0, node.dataset.value, 0, began];
        const step = (now) => {
          frames += 1;
          longest = Math.max(longest, now - before);
          before = now;
          if (node.dataset.value !== last) changes += 1;
          last = node.dataset.value;
          if (performance.now() - began < milliseconds) { requestAnimationFrame(step); return; }
          const seconds = (performance.now() - began) / 1000;
          resolve([frames / seconds, changes / seconds, (Number(last) - from) / seconds, longest]);
        };
        requestAnimationFrame(step);
      });
    },
  };
  requestAnimationFrame(watch);
})();
"""


class Line(NamedTuple):
    """One row of the result: what was measured, its values, what is shown of them, and what is aimed at."""

    what: str
    shown: str
    aim: str


def rows(n: int, seed: int = 0) -> pl.DataFrame:
    """Return connections of which two in a hundred are attacks: five numbers, two categories, a time and a label."""
    rng = np.random.default_rng(seed)
    odd = rng.random(n) < 0.02
    start = pl.datetime(2026, 1, 1)
    return pl.DataFrame(
        {
            "at": pl.datetime_range(start, start + pl.duration(seconds=n - 1), "1s", eager=True),
            **{f"x{k}": rng.normal(size=n) + (1.5 - 0.3 * k) * odd * rng.random(n) for k in range(5)},
            "service": rng.choice([f"service {k}" for k in range(20)], n),
            "host": rng.choice([f"10.0.{k}.1" for k in range(200)], n),
            "label": np.where(odd, "attack", "normal"),
        }
    )


def filled(folder: Path) -> tuple[dict[int, str], tuple[str, ...]]:
    """Fill a workspace as far as it is not; return the run of each size, and those of the demonstration."""
    space = Workspace(folder)
    space.jobs.start()
    settings = DatasetSettings(label="label", time="at")
    try:
        known = {one.name: one.id for one in space.datasets.all()}
        runs = {}
        for n in SIZES:
            name = f"{n:,} rows"
            dataset = known.get(name) or space.datasets.add(rows(n), name, settings=settings, synthetic=True).id
            done = [run.id for run in space.runs.all() if run.dataset == dataset]
            runs[n] = done[0] if done else space.jobs.submit(FitRequest(dataset, DETECTOR, split=SplitRule("all"))).id
        demo = tuple(run.id for run in fill_with_demo(space).runs)
        while any(run.state not in ENDED for run in space.runs.all()):
            time.sleep(0.2)
        if failed := [run for run in space.runs.all() if run.state != "done"]:
            raise RuntimeError(f"run {failed[0].number} is {failed[0].state}: {failed[0].error}")
        return runs, demo
    finally:
        space.jobs.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a workspace; yield the address of its console."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "whitecrow.cli", "serve", "--workspace", str(folder), "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "WHITECROW_TOKEN"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as server:
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ready") as answer:
                    if answer.status == 200:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


class Console:
    """A browser before the console.

    Parameters
    ----------
    browser : Browser
    base : str
        Address of the console.
    """

    def __init__(self, browser: "Browser", base: str) -> None:
        self.browser, self.base = browser, base

    @contextmanager
    def opened(self, path: str, *others: str) -> "Iterator[Page]":
        """Open an address in a browser that has kept nothing, after others."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 900}, base_url=self.base)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.add_init_script(PROBE)
        for one in (*others, path):
            page.goto(one)
            page.wait_for_function("document.documentElement.dataset.keys === 'ready'")
        try:
            yield page
        finally:
            context.close()

    def first(self, path: str, names: Sequence[str], *, again: bool) -> list[float]:
        """Return the milliseconds from the navigation until things are seen; ``again`` after an earlier visit."""
        with self.opened(path, *([path] if again else [])) as page:
            page.wait_for_function("(names) => names.every((name) => window.probe.first[name])", arg=list(names))
            return [page.evaluate("(name) => window.probe.first[name]", name) for name in names]


def slider(console: Console, run: str, repetitions: int) -> list[float]:
    """Return the milliseconds from a key on the slider to the end of the frame with the new figures."""
    with console.opened(f"/explore?run={run}") as page:
        page.locator("[data-ready=true]").wait_for(state="attached")
        page.wait_for_function("window.probe.first.timeline")
        page.locator("[data-wct=slider]").focus()
        page.keyboard.press("PageDown")
        found = []
        for k in range(repetitions):
            page.evaluate("""() => {
              const node = document.querySelector("[data-wct=threshold]");
              const before = node.dataset.value;
              window.probe.from("keydown", () => node.dataset.value !== before);
            }""")
            page.keyboard.press(KEYS[k % len(KEYS)])
            found.append(page.evaluate("window.probe.took"))
        return found


def brush(console: Console, run: str, repetitions: int) -> list[float]:
    """Return the milliseconds from letting go of the brush to the end of the frame with the figures of the window."""
    with console.opened(f"/explore?run={run}") as page:
        page.wait_for_function("window.probe.first.timeline")
        strip = page.locator("section[aria-label=Timeline] canvas").first
        found = []
        for k in range(repetitions):
            strip.scroll_into_view_if_needed()
            box = strip.bounding_box()
            assert box is not None
            left, width, middle = box["x"] + 150, box["width"] - 190, box["y"] + box["height"] / 2
            page.mouse.move(left + width * (0.1 + 0.02 * (k % 10)), middle)
            page.mouse.down()
            page.mouse.move(left + width * (0.6 + 0.02 * (k % 7)), middle, steps=4)
            page.evaluate("""() => {
              const before = document.querySelector("[data-wct=alerts]");
              window.probe.from("mouseup", () => {
                const node = document.querySelector("[data-wct=alerts]");
                return node && node !== before && node.dataset.value;
              });
            }""")
            page.mouse.up()
            found.append(page.evaluate("window.probe.took"))
            # The timeline follows the figures.
            page.wait_for_timeout(300)
        return found


def lanes(console: Console, run: str, repetitions: int) -> list[float]:
    """Return the milliseconds from choosing a column to the end of the frame with its lanes."""
    found = []
    for k in range(repetitions):
        with console.opened(f"/explore?run={run}") as page:
            page.wait_for_function("window.probe.first.timeline")
            page.get_by_role("combobox", name="A lane for each").click()
            page.evaluate("""() => {
              const shown = () => [...document.querySelectorAll("section[aria-label=Timeline] canvas")].at(-1);
              window.probe.from("click", () => (shown()?.getBoundingClientRect().height ?? 0) > 300);
            }""")
            page.get_by_role("option", name=("Value of service", "Value of host")[k % 2], exact=True).click()
            found.append(page.evaluate("window.probe.took"))
    return found


def race(console: Console, runs: Sequence[str], seconds: float) -> list[float]:
    """Return frames of the page, frames with new figures and records, all per second, and the longest frame in ms."""
    query = "&".join(f"run={run}" for run in runs)
    with console.opened(f"/stream?{query}") as page:
        page.locator("[data-wcs-field=rate]").fill(str(RATE))
        page.keyboard.press("Tab")
        page.locator("[data-wcs-do=toggle]").click()
        page.wait_for_function("Number(document.querySelector('[data-wcs=position]').dataset.value) > 1000")
        return page.evaluate("(ms) => window.probe.count('[data-wcs=position]', ms)", seconds * 1000)


def shown(values: Sequence[float]) -> str:
    """Return the median, the 95th percentile and the least of some milliseconds."""
    median, high = np.quantile(values, (0.5, 0.95))
    return f"{median:6.0f} {high:6.0f} {min(values):6.0f}"


def measure(console: Console, runs: dict[int, str], demo: Sequence[str], given: argparse.Namespace) -> Iterator[Line]:
    """Yield the figures one after the other."""
    wanted = given.only
    for n, aim in zip(SIZES, ("median < 60, p95 < 200", "median < 120"), strict=True):
        if "slider" in wanted:
            yield Line(f"key on the slider to figures, {n:,} scores", shown(slider(console, runs[n], given.moves)), aim)
    small = f"/explore?run={runs[SIZES[0]]}"
    for again in (False, True):
        kept = "kept files" if again else "nothing kept"
        if "screen" in wanted:
            overview = [console.first("/", ["screen"], again=again)[0] for _ in range(given.visits)]
            yield Line(f"first screen, {kept}", shown(overview), "< 2000")
        if "rows" in wanted:
            names = ("screen", "figures", "rows", "timeline")
            visits = [console.first(small, names, again=again) for _ in range(given.visits)]
            aims = ("< 2000", "", "< 1200", "< 1000")
            for k, name in enumerate(names):
                yield Line(
                    f"Explore, {SIZES[0]:,} rows, {kept}: {name}", shown([visit[k] for visit in visits]), aims[k]
                )
    if "brush" in wanted:
        yield Line(
            f"brush to figures, {SIZES[0]:,} rows", shown(brush(console, runs[SIZES[0]], given.moves // 4)), "< 300"
        )
    if "lanes" in wanted:
        yield Line(f"column to lanes, {SIZES[0]:,} rows", shown(lanes(console, runs[SIZES[0]], given.visits)), "< 1000")
    if "stream" in wanted:
        frames, changes, speed, longest = race(console, demo, given.seconds)
        yield Line(f"race of {len(demo)} detectors: frames of the page per second", f"{frames:6.1f}", ">= 20")
        yield Line("the same: of them with new figures", f"{changes:6.1f}", ">= 20")
        yield Line("the same: records per second", f"{speed:6.0f}", f"{RATE}")
        yield Line("the same: longest frame", f"{longest:6.0f}", "")


def main() -> None:
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    parts = ("slider", "screen", "rows", "brush", "lanes", "stream")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, help="folder that is filled if it is empty, and kept")
    parser.add_argument("--moves", type=int, default=120, help="moves of the slider")
    parser.add_argument("--visits", type=int, default=9, help="loads of each page")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the race")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="what is measured")
    given = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("There is no Chromium; name one in the variable CHROMIUM.")
    with tempfile.TemporaryDirectory() as folder:
        space = given.workspace or Path(folder) / "space"
        runs, demo = filled(space)
        load = os.getloadavg()
        sys.stdout.write(f"{platform.machine()}, {os.cpu_count()} cores, load {load[0]:.1f} {load[1]:.1f} before\n")
        sys.stdout.write(f"{'milliseconds':62s} median    p95  least   aim\n")
        with served(space) as base, sync_playwright() as started:
            browser = started.chromium.launch(executable_path=chromium, args=list(FLAGS))
            for line in measure(Console(browser, base), runs, demo, given):
                sys.stdout.write(f"{line.what:62s} {line.shown:20s}   {line.aim}\n")
                sys.stdout.flush()
            browser.close()
        sys.stdout.write(f"load {os.getloadavg()[0]:.1f} after; {DEMO_NAME.lower()} raced\n")


if __name__ == "__main__":
    main()

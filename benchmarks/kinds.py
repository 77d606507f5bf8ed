"""Time images and windows against what they cannot do without: ``make bench``.

Images: a convolutional autoencoder beside a bare loop over the same torch layers, the same optimiser and batches.
Windows: what cutting a long series into windows and folding their scores adds to the products of the networks, and the
memory that it takes. CPU time on one thread; candidates take turns in one process, and ratios are medians over the
rounds.
"""

import argparse
import platform
import statistics
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import cpu, in_new_process, ratio
from torch import Tensor

import whitecrow as wc

SIDE, BATCH = 28, 64
SCORED_AT_ONCE = 512
N_IMAGES, N_SCORED = 2_048, 4_096
STEPS, WINDOW = 1_000_000, 100
METHODS = ("usad", "sub-pca")


def images(n: int, seed: int = 0) -> np.ndarray:
    """Return smooth random images, float32 [n, SIDE, SIDE] from 0 to 1."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.linspace(0, 6, SIDE) * rng.uniform(0.5, 2, size=(n, 2, 1)) + rng.uniform(0, 6, size=(n, 2, 1)))
    return (0.5 + 0.25 * (waves[:, 0, :, None] + waves[:, 1, None])).astype(np.float32)


def series(n: int, seed: int = 0) -> np.ndarray:
    """Return a noisy wave, float64 [n]."""
    return np.sin(np.arange(n) * 2 * np.pi / 60) + 0.1 * np.random.default_rng(seed).normal(size=n)


def autoencoder(epochs: int) -> Any:
    """Return a convolutional autoencoder that trains on every image to the last epoch."""
    return wc.detector(
        "conv-autoencoder", batch_size=BATCH, epochs=epochs, validation=0.0, calibration=0.0, random_state=0,
        verbose=False,
    )  # fmt: skip


class Bare:
    """The layers of a fitted autoencoder in the loop that a user of torch would write."""

    def __init__(self, fitted: Any) -> None:
        net = fitted.replicas_.replica(0)
        self.model = torch.nn.Sequential(net.encoder, net.decoder)
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)

    def train(self, X: Tensor, epochs: int) -> None:
        """Train on rows [N, D]."""
        self.model.train()
        optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(X)).split(BATCH):
                x = X[rows]
                loss = (x - self.model(x)).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

    def score(self, X: Tensor, size: int) -> Tensor:
        """Return the errors of rows [N, D]."""
        self.model.eval()
        with torch.inference_mode():
            return torch.cat([(x - self.model(x)).square().mean(-1) for x in X.split(size)])


def per_epoch(run: Callable[[int], object], few: int = 1, many: int = 3) -> float:
    """Return the CPU seconds of one more epoch."""
    return (cpu(lambda: run(many)) - cpu(lambda: run(few))) / (many - few)


def measure_images(rounds: int) -> list[tuple[str, str, str]]:
    """Return rows (what, figure, aim)."""
    X, new = images(N_IMAGES), images(N_SCORED, 1)
    fitted = autoencoder(1).fit(X)
    bare = Bare(fitted)
    rows, scored = (torch.from_numpy(fitted.encoder_.transform(u)) for u in (X, new))
    candidates: dict[str, Callable[[], float]] = {
        "train": lambda: per_epoch(lambda n: autoencoder(n).fit(X)),
        "bare train": lambda: per_epoch(lambda n: bare.train(rows, n)),
        "score": lambda: cpu(lambda: fitted.anomaly_score(new)),
        "bare score": lambda: cpu(lambda: bare.score(scored, SCORED_AT_ONCE)),
    }
    seconds = interleaved(candidates, rounds)
    rate = {
        name: f"{n / statistics.median(seconds[name]):,.0f}" for name, n in (("train", N_IMAGES), ("score", N_SCORED))
    }
    return [
        ("images trained on per second", rate["train"], ""),
        ("an epoch / the bare loop's", f"{ratio(seconds['train'], seconds['bare train']):.2f}", "at most 1.3"),
        ("images scored per second", rate["score"], ""),
        ("scoring images / the bare loop on encoded ones", f"{ratio(seconds['score'], seconds['bare score']):.2f}",
         "at most 1.2"),
    ]  # fmt: skip


def interleaved(candidates: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each candidate in each round, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for counted in [False] + [True] * rounds:
        for name, candidate in candidates.items():
            spent = candidate()
            if counted:
                seconds[name].append(spent)
    return seconds


def windows_detector(name: str) -> Any:
    """Return a detector of series fitted on a few thousand steps."""
    brief = {"epochs": 1} if name == "usad" else {}
    return wc.detector(name, window=WINDOW, random_state=0, verbose=False, **brief).fit(series(5_000))


def bare_scores(detector: Any, n: int) -> Callable[[], None]:
    """Return the scoring of n windows that lie ready in blocks: no cutting, no folding."""

    def fill(block: np.ndarray) -> Any:
        for start in range(0, n, len(block)):
            yield min(len(block), n - start)

    def run() -> None:
        for _ in detector._blocks(detector.score_batch, fill):
            pass

    return run


def measure_windows(rounds: int) -> list[tuple[str, str, str]]:
    """Return rows (what, figure, aim)."""
    X, found = series(STEPS), []
    for name in METHODS:
        detector = windows_detector(name)
        products = bare_scores(detector, STEPS - WINDOW + 1)
        seconds = interleaved(
            {"all": lambda d=detector: cpu(lambda: d.anomaly_score(X)), "products": lambda p=products: cpu(p)}, rounds
        )
        added = ratio(seconds["all"], seconds["products"]) - 1
        found += [
            (f"{name}: steps scored per second", f"{STEPS / statistics.median(seconds['all']):,.0f}", ""),
            (f"{name}: cutting, scaling and folding add", f"{100 * added:.1f} %", "below 10 %"),
        ]
    copies = in_new_process(_MEMORY, name=METHODS[0])
    return [
        *found,
        (f"peak memory of scoring {STEPS:,} steps, in copies of the series", f"{copies:.1f}", "below 6"),
    ]


_MEMORY = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import torch, kinds
torch.set_num_threads(1)
detector = kinds.windows_detector({name!r})
X = kinds.series(kinds.STEPS)
detector.anomaly_score(X[:20_000])  # what is loaded and allocated on first use
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
peak = lambda: next(int(l.split()[1]) for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l)
before = peak()
detector.anomaly_score(X)
sys.stdout.write(str((peak() - before) * 1024 / X.nbytes))
"""


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sections = {
        f"Images of {SIDE} x {SIDE}": measure_images(options.rounds),
        f"A series of {STEPS:,} steps in windows of {WINDOW}": measure_windows(options.rounds),
    }
    lines = [
        "# Speed on images and windows",
        "",
        f"`python benchmarks/kinds.py --rounds {options.rounds}`: the convolutional autoencoder at batch {BATCH} "
        "beside a loop of plain torch over the same layers, and series scored beside the networks on windows that lie "
        "ready. "
        "CPU time on one thread, candidates interleaved in one process, median over the rounds of the ratio within a "
        f"round. Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("whitecrow", "torch", "numpy"))
        + ".",
    ]
    for title, rows in sections.items():
        lines += ["", f"## {title}", "", "| what | figure | aim |", "|---|---|---|"]
        lines += [f"| {what} | {figure} | {aim} |" for what, figure, aim in rows]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)


if __name__ == "__main__":
    main()

"""Compare whitecrow's autoencoder with PyOD's: same widths, batch, epochs and rows, in CPU time on one thread.

Run ``make bench``. Candidates take turns in one process, so that a busy machine slows all of them; what is reported is
the median over the rounds of the ratio within a round.
"""

import argparse
import platform
import statistics
import sys
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from pyod.models.auto_encoder import AutoEncoder as PyODAutoEncoder
from timing import cpu, in_new_process, ratio

import whitecrow as wc

WIDTHS = (121, 64, 32, 16, 32, 64, 121)
N_ROWS = 20_000
N_SCORED = 100_000


def table(n: int, seed: int = 0) -> np.ndarray:
    """Return correlated rows [n, 121] with some heavy tails."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_t(4, size=(n, 12))
    return (factors @ rng.normal(size=(12, WIDTHS[0])) + 0.5 * rng.normal(size=(n, WIDTHS[0]))).astype(np.float32)


def ours(batch: int, epochs: int, replicas: int = 1) -> wc.AutoEncoder:
    """Return an autoencoder that trains on every row to the last epoch, as the peer does."""
    return wc.AutoEncoder(
        hidden_dims=(64, 32), latent_dim=16, activation="relu", batch_size=batch, epochs=epochs, n_replicas=replicas,
        weight_decay=1e-5, validation=0.0, calibration=0.0, contamination=0.1, random_state=0, verbose=False,
    )  # fmt: skip


def pyod(batch: int, epochs: int, *, plain: bool) -> PyODAutoEncoder:
    """Return the peer; plain is without its batch norm and dropout."""
    extra = {"batch_norm": False, "dropout_rate": 0.0} if plain else {}
    return PyODAutoEncoder(
        hidden_neuron_list=[64, 32, 16], batch_size=batch, epoch_num=epochs, verbose=0, device="cpu", **extra
    )


def bare_epoch(batch: int, replicas: int = 1) -> Callable[[], None]:
    """Return the matrix products of one epoch and nothing else."""
    lead = (replicas,) if replicas > 1 else ()
    product = torch.bmm if lead else torch.mm
    values = [torch.randn(*lead, batch, w) for w in WIDTHS]
    weights = [torch.randn(*lead, o, i) for i, o in pairwise(WIDTHS)]

    def run() -> None:
        for _ in range(-(-N_ROWS // batch)):
            for x, w in zip(values, weights, strict=False):
                product(x, w.mT)
            for layer in range(len(weights) - 1, -1, -1):
                product(values[layer + 1].mT, values[layer])
                if layer:
                    product(values[layer + 1], weights[layer])

    return run


def per_epoch(fit: Callable[[int], object]) -> float:
    """Return the CPU seconds of one more epoch, from fits of four and of one."""
    return (cpu(lambda: fit(4)) - cpu(lambda: fit(1))) / 3


def measure(batch: int, rounds: int) -> list[tuple[str, str, str]]:
    """Return rows (what, figure, target) for one batch size."""
    X = table(N_ROWS)
    bare = bare_epoch(batch)
    candidates: dict[str, Callable[[], float]] = {
        "bare": lambda: cpu(bare),
        "epoch": lambda: per_epoch(lambda e: ours(batch, e).fit(X)),
        "epoch plain": lambda: per_epoch(lambda e: pyod(batch, e, plain=True).fit(X)),
        "epoch default": lambda: per_epoch(lambda e: pyod(batch, e, plain=False).fit(X)),
        "fit": lambda: cpu(lambda: ours(batch, 5).fit(X)),
        "fit plain": lambda: cpu(lambda: pyod(batch, 5, plain=True).fit(X)),
        "fit default": lambda: cpu(lambda: pyod(batch, 5, plain=False).fit(X)),
        "fit 10": lambda: cpu(lambda: ours(batch, 5, replicas=10).fit(X)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for candidate in candidates.values():
        candidate()
    for _ in range(rounds):
        for name, candidate in candidates.items():
            seconds[name].append(candidate())
    small = batch < 512
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return [
        ("bare matrix products of one epoch", f"{median['bare']:.3f} s", ""),
        ("our epoch", f"{median['epoch']:.3f} s", ""),
        ("training loop / bare products", f"{ratio(seconds['epoch'], seconds['bare']):.2f}",
         "at most 3" if small else "at most 1.7"),
        ("epoch: PyOD without batch norm and dropout / ours",
         f"{ratio(seconds['epoch plain'], seconds['epoch']):.1f}", "at least 3.3" if small else "at least 5"),
        ("epoch: PyOD with its defaults / ours", f"{ratio(seconds['epoch default'], seconds['epoch']):.1f}",
         "at least 5" if small else "at least 6"),
        ("complete fit, 5 epochs: PyOD without batch norm and dropout / ours",
         f"{ratio(seconds['fit plain'], seconds['fit']):.1f}", ""),
        ("complete fit, 5 epochs: PyOD with its defaults / ours",
         f"{ratio(seconds['fit default'], seconds['fit']):.1f}", ""),
        ("10 replicas / one fit of PyOD without batch norm and dropout",
         f"{ratio(seconds['fit 10'], seconds['fit plain']):.2f}", "at most 1.5" if small else ""),
        ("10 replicas / one fit of PyOD with its defaults", f"{ratio(seconds['fit 10'], seconds['fit default']):.2f}",
         ""),
    ]  # fmt: skip


def measure_scoring(rounds: int) -> list[tuple[str, str, str]]:
    """Return rows for scoring 100,000 rows."""
    X, rows = table(2_000), table(N_SCORED, 1)
    mine = ours(128, 1).fit(X)
    # PyOD scores in the batches that it was trained with.
    peers = {batch: pyod(batch, 1, plain=True).fit(X) for batch in (32, 128, 1024)}
    seconds: dict[str, list[float]] = {"ours": [], **{str(batch): [] for batch in peers}}
    mine.anomaly_score(rows)
    for _ in range(rounds):
        seconds["ours"].append(cpu(lambda: mine.anomaly_score(rows)))
        for batch, peer in peers.items():
            seconds[str(batch)].append(cpu(lambda peer=peer: peer.decision_function(rows)))
    return [
        ("rows scored per second", f"{N_SCORED / statistics.median(seconds['ours']):,.0f}", ""),
        *(
            (f"scoring: PyOD (batch {batch}) / ours", f"{ratio(seconds[str(batch)], seconds['ours']):.1f}",
             "at least 8")
            for batch in peers
        ),
    ]  # fmt: skip


_MEMORY = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import torch, peers
torch.set_num_threads(1)
{fit}.fit(peers.table(500))  # what is loaded and compiled on first use
X = peers.table(100_000)
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
peak = lambda: next(int(l.split()[1]) for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l)
before = peak()
{fit}.fit(X)
sys.stdout.write(str(peak() - before))
"""
_WARM_UP = """
import sys, time
sys.path.insert(0, {folder!r})
import torch, peers
torch.set_num_threads(1)
X = peers.table(3_000)
seconds = []
for _ in range(3):
    start = time.process_time()
    peers.ours(128, 5).fit(X)
    seconds.append(time.process_time() - start)
sys.stdout.write(str(seconds[0] - min(seconds)))
"""


def measure_processes() -> list[tuple[str, str, str]]:
    """Return rows for what needs a process of its own: peak memory and warm-up."""
    mine = in_new_process(_MEMORY, fit="peers.ours(128, 2)") / 1024
    peer = in_new_process(_MEMORY, fit="peers.pyod(128, 2, plain=True)") / 1024
    return [
        ("peak memory of a fit on 100,000 rows beyond the data: ours", f"{mine:.0f} MB", ""),
        ("peak memory of a fit on 100,000 rows beyond the data: PyOD", f"{peer:.0f} MB", ""),
        ("warm-up: first fit of 3,000 rows in a process minus a later one", f"{in_new_process(_WARM_UP):.2f} s",
         "below 1 s"),
    ]  # fmt: skip


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sections = {f"Batch {batch}": measure(batch, options.rounds) for batch in (128, 1024)}
    sections["Scoring"] = measure_scoring(options.rounds)
    sections["Memory and warm-up"] = measure_processes()
    names = ("whitecrow", "pyod", "torch", "numpy")
    lines = [
        "# Speed beside PyOD",
        "",
        f"`python benchmarks/peers.py --rounds {options.rounds}`: autoencoders with ReLU, "
        f"{'-'.join(map(str, WIDTHS))} on {N_ROWS:,} rows, CPU time on one thread, "
        "candidates interleaved in one process, median over the rounds of "
        f"the ratio within a round. Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in names)
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

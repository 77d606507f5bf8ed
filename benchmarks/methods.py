"""Time every detector that is trained by gradients, beside PyOD and DeepOD where they have the method: ``make bench``.

CPU time on one thread: seconds per 100,000 training rows of one epoch (a longer fit minus a shorter one, so that
set-up and scoring cancel) and rows scored per second. Candidates take turns in one process; what is reported is the
median over the rounds, and for ratios the median of the ratio within a round.
"""

import argparse
import platform
import statistics
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import WIDTHS, table
from timing import cpu

import whitecrow as wc
from whitecrow.core import parameters, registry

N_ROWS = 10_000
N_SCORED = 20_000
N_KNOWN = 30
FEWER = {"anogan": 20}  # times fewer rows: PyOD's search takes them one by one
HIDDEN = (64, 32)
LATENT = 16
# What makes ours equal to the peers' beyond HIDDEN and LATENT: widths, and no steps that they do not take.
EQUAL: dict[str, dict[str, object]] = {
    "autoencoder": {"activation": "relu"},
    "alad": {"spectral": False, "average": 0.0},
    "anogan": {"spectral": False, "average": 0.0},
    "neutral-ad": {"hidden_dim": 64, "transformation_dim": 64},
    "goad": {"n_transformations": 64, "transformation_dim": 32, "hidden_dim": 8},
}


def ours(name: str, batch: int, epochs: int) -> Any:
    """Return a detector with the common widths that trains on every row to the last epoch."""
    fields = parameters.fields(registry.load(name))
    wanted: dict[str, object] = {
        "hidden_dims": HIDDEN, "latent_dim": LATENT, "batch_size": batch, "epochs": epochs, "validation": 0.0,
        "calibration": 0.0, "random_state": 0, "verbose": False,
    }  # fmt: skip
    # Stages before the main one cost the same in both fits.
    return wc.detector(name, **{key: value for key, value in wanted.items() if key in fields}, **EQUAL.get(name, {}))


def pyod(name: str, batch: int, epochs: int) -> Any:
    """Return PyOD's detector of the same method with the same widths."""
    from pyod.models.alad import ALAD
    from pyod.models.anogan import AnoGAN
    from pyod.models.deep_svdd import DeepSVDD
    from pyod.models.devnet import DevNet
    from pyod.models.vae import VAE

    hidden, quiet, steps = list(HIDDEN), {"verbose": 0}, -(-N_ROWS // batch)
    if name == "vae":
        return VAE(encoder_neuron_list=hidden, decoder_neuron_list=hidden[::-1], latent_dim=LATENT, epoch_num=epochs,
                   batch_size=batch, **quiet)  # fmt: skip
    if name == "deep-svdd":
        return DeepSVDD(n_features=WIDTHS[0], hidden_neurons=[*hidden, LATENT], epochs=epochs, batch_size=batch,
                        dropout_rate=0.0, validation_size=0.0, **quiet)  # fmt: skip
    if name == "alad":
        # Its epoch is one batch.
        return ALAD(latent_dim=LATENT, enc_layers=hidden, dec_layers=hidden[::-1], disc_xx_layers=[128],
                    disc_zz_layers=[128], disc_xz_layers=[128], epochs=epochs * steps, batch_size=batch,
                    **quiet)  # fmt: skip
    if name == "anogan":
        return AnoGAN(G_layers=[LATENT, *hidden[::-1], WIDTHS[0]], latent_dim_G=LATENT, epochs=epochs,
                      batch_size=batch, epochs_query=20, **quiet)  # fmt: skip
    return DevNet(network_depth=2, epochs=epochs, batch_size=batch, nb_batch=steps, known_outliers=N_KNOWN)


def deepod(name: str, batch: int, epochs: int) -> Any:
    """Return DeepOD's detector of the same method with the same widths."""
    from deepod.models import tabular

    common = {"batch_size": batch, "epochs": epochs, "device": "cpu", "verbose": 0}
    if name == "goad":
        return tabular.GOAD(n_trans=64, trans_dim=32, hidden_dim=8, **common)
    common |= {"hidden_dims": ",".join(map(str, HIDDEN)), "rep_dim": LATENT}
    if name == "neutral-ad":
        return tabular.NeuTraL(**{**common, "hidden_dims": "64,64"}, trans_hidden_dims=64)
    if name == "icl":
        return tabular.ICL(n_ensemble=1, **common)
    return {"deep-svdd": tabular.DeepSVDD, "deep-sad": tabular.DeepSAD, "devnet": tabular.DevNet}[name](**common)


# DeepOD declares an old torch, so it is not among the packages of the extra; install it with --no-deps.
PEERS: dict[str, tuple[Callable[[str, int, int], Any], tuple[str, ...]]] = {
    "pyod": (pyod, ("vae", "deep-svdd", "alad", "anogan", "devnet")),
    "deepod": (deepod, ("deep-svdd", "neutral-ad", "goad", "icl", "deep-sad", "devnet")),
}


def per_epoch(make: Callable[[int], Any], X: np.ndarray, y: np.ndarray | None, few: int, many: int) -> float:
    """Return the CPU seconds of one more epoch over 100,000 rows."""
    first, second = (cpu(lambda n=n: _fit(make(n), X, y)) for n in (few, many))
    return (second - first) / (many - few) * 100_000 / len(X)


def _fit(model: Any, X: np.ndarray, y: np.ndarray | None) -> Any:
    return model.fit(X) if y is None else model.fit(X, y)


def measure(name: str, rounds: int, peers: list[str]) -> str:
    """Return a row of the table in Markdown."""
    X, rows = table(N_ROWS)[:: FEWER.get(name, 1)], table(N_SCORED, 1)[:: FEWER.get(name, 1)]
    labels = None
    if registry.load(name).uses_labels:
        labels = (np.arange(N_ROWS) % (N_ROWS // N_KNOWN) == 0).astype(int)
    makers = {peer: PEERS[peer][0] for peer in peers if name in PEERS[peer][1]}
    epochs = 3 if registry.load(name).cost == "high" else 9
    _fit(ours(name, 128, 1), X, labels)  # the first fit of a process pays for more than itself
    cells = []
    scoring: dict[str, list[float]] = {}
    for batch in (128, 1024):
        mine: list[float] = []
        plain: list[float] = []
        ratios: dict[str, list[float]] = {peer: [] for peer in makers}
        for _ in range(rounds):
            plain.append(per_epoch(lambda n, b=batch: ours("autoencoder", b, n), X, None, 1, 9))
            mine.append(per_epoch(lambda n, b=batch: ours(name, b, n), X, labels, 1, epochs))
            for peer, make in makers.items():
                theirs = per_epoch(lambda n, b=batch, make=make: make(name, b, n), X, labels, 1, 3)
                ratios[peer].append(theirs / mine[-1])
        against = statistics.median(a / b for a, b in zip(mine, plain, strict=True))
        # A fixed start may cost so much more than an epoch that the difference of two fits is its noise.
        cells += [f"{statistics.median(mine):.2f}", f"{against:.1f}"] if against > 0 else ["lost in noise", ""]
        cells += [f"{statistics.median(ratios[peer]):.1f}" if peer in ratios else "" for peer in peers]
        fitted = {peer: _fit(make(name, batch, 1), X, labels) for peer, make in makers.items()}
        model = _fit(ours(name, batch, 1), X, labels)
        for _ in range(rounds):
            own = cpu(lambda model=model: model.anomaly_score(rows))
            scoring.setdefault("ours", []).append(own)
            for peer, theirs in fitted.items():
                scoring.setdefault(f"{peer} {batch}", []).append(
                    cpu(lambda theirs=theirs: theirs.decision_function(rows)) / own
                )
    cells.append(f"{len(rows) / statistics.median(scoring['ours']):,.0f}")
    for peer in peers:
        both = [f"{statistics.median(scoring[f'{peer} {b}']):.1f}" for b in (128, 1024) if f"{peer} {b}" in scoring]
        cells.append(" / ".join(both))
    return f"| `{name}` | {' | '.join(cells)} |"


def main() -> None:
    """Measure, and write the table."""
    deep = [n for n in wc.detectors("table") if issubclass(registry.load(n), wc.DeepDetector)]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/methods.md"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--detectors", nargs="*", default=deep)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    peers = [peer for peer in PEERS if find_spec(peer)]
    lines = [
        "# Speed of each method",
        "",
        f"`python benchmarks/methods.py --rounds {options.rounds}`: {N_ROWS:,} rows of {WIDTHS[0]} columns, hidden "
        f"widths {HIDDEN} and a code of {LATENT} where a method has them, CPU time on one thread, median over the "
        "rounds; ALAD and AnoGAN without spectral normalisation and moving average, as PyOD has them. *Epoch*: CPU "
        "seconds per 100,000 rows. *AE*: that of the method over that of the plain autoencoder. Under a peer's name: "
        "its time over ours, where it has the method; in scoring, with its batches of 128 and of 1,024 rows. *Rows*: "
        f"rows scored per second ({N_SCORED:,} rows). AnoGAN has a {FEWER['anogan']}th of all rows. "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("whitecrow", *peers, "torch", "numpy"))
        + ".",
        "",
        "| detector | "
        + " | ".join([f"epoch, batch {b} | AE | {' | '.join(peers)}" for b in (128, 1024)])
        + f" | rows | {' | '.join(peers)} |",
        "|---" * (6 + 3 * len(peers)) + "|",
    ]
    for name in options.detectors:
        lines.append(measure(name, options.rounds, peers))
        sys.stderr.write(lines[-1] + "\n")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

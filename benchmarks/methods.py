"""Time every detector that is trained by gradients, beside PyOD where it has the method: ``make bench``.

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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import WIDTHS, cpu, table

import whitecrow as wc
from whitecrow.core import parameters, registry

N_ROWS = 10_000
N_SCORED = 20_000
N_KNOWN = 30
HIDDEN = (64, 32)
LATENT = 16


def ours(name: str, batch: int, epochs: int) -> Any:
    """Return a detector with the common widths that trains on every row to the last epoch."""
    fields = parameters.fields(registry.load(name))
    wanted: dict[str, object] = {
        "hidden_dims": HIDDEN, "latent_dim": LATENT, "batch_size": batch, "epochs": epochs, "validation": 0.0,
        "calibration": 0.0, "random_state": 0, "verbose": False,
    }  # fmt: skip
    # Stages before the main one cost the same in both fits.
    return wc.detector(name, **{key: value for key, value in wanted.items() if key in fields})


def pyod(name: str, batch: int, epochs: int) -> Any | None:
    """Return PyOD's detector of the same method with the same widths, or None."""
    hidden, quiet = list(HIDDEN), {"verbose": 0}
    if name == "vae":
        from pyod.models.vae import VAE

        return VAE(encoder_neuron_list=hidden, decoder_neuron_list=hidden[::-1], latent_dim=LATENT, epoch_num=epochs,
                   batch_size=batch, **quiet)  # fmt: skip
    if name == "deep-svdd":
        from pyod.models.deep_svdd import DeepSVDD

        return DeepSVDD(n_features=WIDTHS[0], hidden_neurons=[*hidden, LATENT], epochs=epochs, batch_size=batch,
                        dropout_rate=0.0, validation_size=0.0, **quiet)  # fmt: skip
    if name == "alad":
        from pyod.models.alad import ALAD

        return ALAD(latent_dim=LATENT, enc_layers=hidden, dec_layers=hidden[::-1], disc_xx_layers=[128],
                    disc_zz_layers=[128], disc_xz_layers=[128], epochs=epochs, batch_size=batch, **quiet)  # fmt: skip
    if name == "anogan":
        from pyod.models.anogan import AnoGAN

        return AnoGAN(G_layers=[LATENT, *hidden[::-1], WIDTHS[0]], latent_dim_G=LATENT, epochs=epochs,
                      batch_size=batch, epochs_query=20, **quiet)  # fmt: skip
    if name == "devnet":
        from pyod.models.devnet import DevNet

        steps = -(-N_ROWS // batch)
        return DevNet(network_depth=2, epochs=epochs, batch_size=batch, nb_batch=steps, known_outliers=N_KNOWN)
    return None


def per_epoch(make: Callable[[int], Any], X: np.ndarray, y: np.ndarray | None, few: int, many: int) -> float:
    """Return the CPU seconds of one more epoch over 100,000 rows."""
    first, second = (cpu(lambda n=n: _fit(make(n), X, y)) for n in (few, many))
    return (second - first) / (many - few) * 100_000 / len(X)


def _fit(model: Any, X: np.ndarray, y: np.ndarray | None) -> Any:
    return model.fit(X) if y is None else model.fit(X, y)


def measure(name: str, rounds: int, seconds: dict[str, dict[int, list[float]]]) -> str:
    """Return a row of the table in Markdown."""
    X, rows = table(N_ROWS), table(N_SCORED, 1)
    cls = registry.load(name)
    labels = (np.arange(N_ROWS) % (N_ROWS // N_KNOWN) == 0).astype(int) if cls.needs_labels else None
    cells = []
    for batch in (128, 1024):
        mine: list[float] = []
        ratios: list[float] = []
        for _ in range(rounds):
            mine.append(per_epoch(lambda n, b=batch: ours(name, b, n), X, labels, 1, 3))
            if pyod(name, batch, 1) is not None:
                theirs = per_epoch(lambda n, b=batch: pyod(name, b, n), X, labels, 1, 2)
                ratios.append(theirs / mine[-1])
        seconds.setdefault(name, {})[batch] = mine
        base = seconds["autoencoder"][batch]
        against = statistics.median(mine) / statistics.median(base)
        cells += [f"{statistics.median(mine):.2f}", f"{against:.1f}"]
        cells.append(f"{statistics.median(ratios):.1f}" if ratios else "")
    model = _fit(ours(name, 128, 1), X, labels)
    peer = pyod(name, 128, 1)
    peer = None if peer is None else _fit(peer, X, labels)
    speeds: list[float] = []
    ratios = []
    for _ in range(rounds):
        speeds.append(cpu(lambda: model.anomaly_score(rows)))
        if peer is not None:
            ratios.append(cpu(lambda: peer.decision_function(rows)) / speeds[-1])
    cells.append(f"{N_SCORED / statistics.median(speeds):,.0f}")
    cells.append(f"{statistics.median(ratios):.1f}" if ratios else "")
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
    names = ["autoencoder", *(n for n in options.detectors if n != "autoencoder")]
    seconds: dict[str, dict[int, list[float]]] = {}
    lines = [
        "# Speed of each method",
        "",
        f"`python benchmarks/methods.py --rounds {options.rounds}`: {N_ROWS:,} rows of {WIDTHS[0]} columns, hidden "
        f"widths {HIDDEN} and a code of {LATENT} where a method has them, CPU time on one thread, median over the "
        "rounds. *Epoch*: CPU seconds per 100,000 rows. *AE*: that of the method over that of the plain autoencoder. "
        f"*PyOD*: PyOD's over ours, where PyOD has the method. *Rows*: rows scored per second ({N_SCORED:,} rows). "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("whitecrow", "pyod", "torch", "numpy"))
        + ".",
        "",
        "| detector | epoch, batch 128 | AE | PyOD | epoch, batch 1024 | AE | PyOD | rows | PyOD |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        lines.append(measure(name, options.rounds, seconds))
        sys.stderr.write(lines[-1] + "\n")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

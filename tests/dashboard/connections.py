"""Connections with the columns of KDD Cup 1999: an extract of the real file where it is, else invented."""

import os
from pathlib import Path

import numpy as np
import polars as pl

from whitecrow.data import read_table
from whitecrow.data.datasets import KDD_COLUMNS, KDD_SYMBOLIC

__all__ = ["connections"]

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "intrusion" / "kddcup.data_10_percent.gz"
# Of each label so many rows: attacks of all four families beside normal connections.
TAKEN = {
    "normal.": 2400, "smurf.": 120, "neptune.": 120, "back.": 40, "satan.": 40, "ipsweep.": 40, "portsweep.": 40,
    "warezclient.": 40, "guess_passwd.": 30, "buffer_overflow.": 20,
}  # fmt: skip
INVENTED = 1200


def connections() -> pl.DataFrame:
    """Return connections with their label, in the order of the file; the same ones every time."""
    rng = np.random.default_rng(0)
    return _extract(rng) if FILE.is_file() else _invented(rng)


def _extract(rng: np.random.Generator) -> pl.DataFrame:
    table = read_table(FILE)
    table.columns = [*KDD_COLUMNS, "label"]
    label = table["label"].to_numpy()
    chosen = [rng.choice(np.flatnonzero(label == name), n, replace=False) for name, n in TAKEN.items()]
    return table[np.sort(np.concatenate(chosen))]


def _invented(rng: np.random.Generator) -> pl.DataFrame:
    odd = rng.random(INVENTED) < 0.1
    symbols = {
        "protocol_type": np.where(odd, "icmp", rng.choice(["tcp", "udp"], INVENTED)),
        "service": np.where(odd, "ecr_i", rng.choice(["http", "smtp", "domain_u"], INVENTED)),
        "flag": rng.choice(["SF", "S0", "REJ"], INVENTED, p=[0.9, 0.06, 0.04]),
    }
    columns = {}
    for column in KDD_COLUMNS:
        if column in KDD_SYMBOLIC:
            columns[column] = symbols.get(column, np.full(INVENTED, "0"))
        elif column.endswith("rate"):
            columns[column] = rng.beta(1 + 2 * odd, 6).round(2)
        else:
            columns[column] = rng.geometric(0.02, INVENTED) * (1 + odd * rng.integers(0, 6, INVENTED))
    return pl.DataFrame(columns).with_columns(label=pl.Series(np.where(odd, "smurf.", "normal.")))

"""Fixtures of the tests of explanations."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch


@pytest.fixture(scope="session")
def mixed_table():
    """Every kind of column: whole numbers, shares, truth values, text, dates; some values are missing."""
    rng = np.random.default_rng(3)
    n = 400
    start = datetime(2026, 3, 2, 9)
    return pl.DataFrame(
        {
            "bytes": rng.integers(200, 50_000, n),
            "share": [None if i % 10 == 0 else float(v) for i, v in enumerate(rng.random(n))],
            "encrypted": rng.random(n) < 0.88,
            "service": ["http" if v < 0.7 else "dns" for v in rng.random(n)],
            "start": [start + timedelta(minutes=int(m)) for m in rng.integers(0, 480, n)],
            "constant": np.full(n, 7.0),
        }
    )


@pytest.fixture(autouse=True)
def one_thread():
    """Small products on one thread, so that CPU time is what it takes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from whitecrow.core import registry


@pytest.fixture(scope="session")
def rows():
    return np.random.default_rng(0).normal(size=(160, 4))


@pytest.fixture(scope="session")
def fitted(rows):
    """Return a small detector of one replica; tests must not change it."""
    small = {"epochs": 2, "hidden_dims": (6,), "latent_dim": 2, "dropout": 0.1}
    return registry.load("autoencoder")(random_state=0, **small).fit(rows)


@pytest.fixture(scope="session")
def content(fitted, tmp_path_factory):
    """Return the bytes of its model file."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    fitted.save(path)
    return path.read_bytes()


@pytest.fixture
def plugins(monkeypatch):
    """Register the detectors of the module ``plugin``."""
    known = registry._entries()
    extra = {
        name: EntryPoint(name, f"plugin:{cls} [table]", registry.GROUP)
        for name, cls in {"box": "Box", "nested": "NestedBox", "half": "HalfBox", "linear": "Linear"}.items()
    }
    monkeypatch.setattr(registry, "_entries", lambda: {**known, **extra})


@pytest.fixture
def boxed(plugins, rows, tmp_path):
    """Return the bytes of the model file of a detector without gradients, from another package."""
    registry.load("box")(random_state=0).fit(rows).save(tmp_path / "box.safetensors")
    return (tmp_path / "box.safetensors").read_bytes()


@pytest.fixture
def written(tmp_path):
    """Return a function that writes bytes to a file and returns its path."""

    def write(data: bytes) -> Path:
        path = tmp_path / "model.safetensors"
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def peak_growth():
    """Return a function that says by how many bytes the process grew at its peak in this test."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        pytest.skip("the peak memory of a process can only be read on Linux")
    reset.write_text("5")

    def kilobytes(field: str) -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1])

    before = kilobytes("VmRSS")
    return lambda: (kilobytes("VmHWM") - before) * 1024


@pytest.fixture(scope="session")
def mixed_table():
    """Return a table of every kind of column, with missing values."""
    import polars as pl

    rng = np.random.default_rng(1)
    n = 150
    start = np.datetime64("2024-03-01T00:00", "ms")
    return pl.DataFrame(
        {
            "bytes": rng.lognormal(size=n),
            'rate "per"\n§': [None if v < -1.5 else float(v) for v in rng.normal(size=n)],
            "flag": rng.choice(["S0", "SF", "REJ", "Ω"], n),
            "service": [None if v > 8 else f"service-{v}" for v in rng.integers(0, 10, n)],
            "logged_in": rng.random(n) < 0.3,
            "at": start + rng.integers(0, 40_000, n) * np.timedelta64(60_000, "ms"),
        }
    )

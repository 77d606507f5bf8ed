"""Small studies that need no file of anyone else."""

import numpy as np
import polars as pl
import pytest

from whitecrow.study.plan import Study


@pytest.fixture
def make_study(tmp_path):
    """Return a function that makes a study on a small labelled file."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4))
    anomalies = rng.normal(size=(60, 4)) * 4 + 2
    table = pl.DataFrame(np.vstack([normal, anomalies]).round(6), schema=["a", "b", "c", "d"])
    kinds = ["normal"] * 400 + ["far"] * 30 + ["wide"] * 30
    file = tmp_path / "rows.csv"
    table.with_columns(kind=pl.Series(kinds)).write_csv(file)

    def make(**given):
        document = {
            "name": "small",
            "data": [{"name": "rows", "file": str(file), "label": "kind"}],
            "detectors": [{"name": "autoencoder", "parameters": {"epochs": 3}}, "knn", "pca"],
            "seeds": 3,
            **given,
        }
        return Study.of(document)

    make.file = file
    return make

"""``whitecrow fit`` and ``whitecrow score`` on folders of images and on tables with a row per time step."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from PIL import Image

from whitecrow import load


def draw(path, images):
    path.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(path / f"{i:03}.png")


@pytest.fixture
def bars():
    """Bright bars on dark ground, lying for normal images and upright for the others."""
    rng = np.random.default_rng(0)
    lying = np.zeros((60, 12, 12), dtype=np.uint8)
    for i, row in enumerate(rng.integers(3, 9, 60)):
        lying[i, row : row + 2] = 220
    return lying + rng.integers(0, 20, lying.shape, dtype=np.uint8)


@pytest.fixture
def parts(tmp_path, bars):
    """A folder in the layout of MVTec AD."""
    draw(tmp_path / "parts" / "train" / "good", bars[:40])
    draw(tmp_path / "parts" / "test" / "good", bars[40:50])
    draw(tmp_path / "parts" / "test" / "turned", bars[50:].transpose(0, 2, 1))
    return tmp_path / "parts"


def test_a_folder_is_fitted_and_scored(run, parts, tmp_path):
    model, scores = tmp_path / "m.safetensors", tmp_path / "scores.csv"
    fitted = run("fit", parts, "--detector", "conv-autoencoder", "-o", model, "--set", "epochs=30", "--json").document
    assert fitted["summary"]["rows"] == 40
    assert load(model).spec_.shape == (1, 12, 12)
    done = run("score", parts, "--model", model, "-o", scores, "--json").document
    assert done["rows"] == 20
    table = pl.read_csv(scores)
    assert table.columns == ["file", "folder", "score", "p_value", "is_anomaly"]
    assert table["file"][0] == "test/good/000.png"
    means = dict(table.group_by("folder").agg(pl.col("score").mean()).iter_rows())
    assert means["turned"] > 2 * means["good"]


def test_images_of_other_sizes_are_resized_on_request(run, parts, tmp_path):
    model = tmp_path / "m.safetensors"
    run("fit", parts, "--detector", "padim", "-o", model, "--image-size", "8")
    assert load(model).spec_.shape == (1, 8, 8)


def test_a_series_is_fitted_and_scored(run, tmp_path):
    t = np.arange(600)
    start = datetime(2024, 1, 1)
    table = pl.DataFrame({"time": [start + timedelta(minutes=int(i)) for i in t], "load": np.sin(t / 6)})
    normal, new = tmp_path / "normal.csv", tmp_path / "new.csv"
    table.write_csv(normal)
    odd = table.with_columns(
        pl.when(pl.int_range(pl.len()).is_between(300, 309)).then(3.0).otherwise("load").alias("load")
    )
    odd.write_csv(new)
    model, scores = tmp_path / "m.safetensors", tmp_path / "scores.csv"
    run("fit", normal, "--detector", "sub-pca", "-o", model, "--regime", "clean")
    done = run("score", new, "--model", model, "-o", scores, "--json").document
    assert done["rows"] == 600
    found = pl.read_csv(scores)
    assert found.columns == ["time", "load", "score", "p_value", "is_anomaly"]
    assert 290 <= int(found["score"].arg_max()) <= 320


@pytest.mark.parametrize(
    ("detector", "says"),
    [
        ("lof", "holds images, and the detector takes table"),
        ("sub-pca", "holds images, and the detector takes sequence"),
    ],
)
def test_images_for_a_detector_of_something_else_are_refused(run, parts, tmp_path, detector, says):
    result = run("fit", parts, "--detector", detector, "-o", tmp_path / "m.safetensors")
    assert result.code != 0
    assert says in " ".join(result.err.split())


def test_a_table_for_a_detector_of_images_is_refused(run, tmp_path):
    pl.DataFrame({"a": [1.0, 2.0, 3.0]}).write_csv(tmp_path / "t.csv")
    result = run("fit", tmp_path / "t.csv", "--detector", "padim", "-o", tmp_path / "m.safetensors")
    assert result.code != 0
    assert "takes images, and t.csv is none" in " ".join(result.err.split())

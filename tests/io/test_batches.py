import itertools
import threading
import time

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from whitecrow.core import registry
from whitecrow.core.errors import DataError, ModelFileError, ParameterError
from whitecrow.io import batches, load, score_batch
from whitecrow.io.batches import load_once

ADDED = ["score", "p_value", "is_anomaly"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 3000
    return pl.DataFrame(
        {
            "row": np.arange(n),
            "bytes": rng.lognormal(size=n),
            "rate": [None if v < -2 else float(v) for v in rng.normal(size=n)],
            "flag": rng.choice(["S0", "SF", "REJ"], n),
            "note": [f"row {k}" for k in range(n)],
        }
    )


@pytest.fixture(scope="module")
def model(table, tmp_path_factory):
    """Return the model file of a detector of three of the columns."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    registry.load("pca")(random_state=0).fit(table.select("bytes", "rate", "flag")).save(path)
    return path


def as_arrow(table):
    return table.to_arrow()


def as_record_batch(table):
    return table.to_arrow().combine_chunks().to_batches()[0]


@pytest.mark.parametrize("seed", range(5))
def test_however_rows_are_cut_into_batches_the_same_come_out(table, model, seed):
    whole = score_batch(table, model)
    cuts = np.unique(np.random.default_rng(seed).integers(0, table.height + 1, size=seed * 7))
    edges = [0, *cuts, table.height]
    pieces = [score_batch(table[a:b], model) for a, b in itertools.pairwise(edges)]
    assert pl.concat(pieces).equals(whole)


def test_the_order_of_rows_does_not_change_what_is_added_to_a_row(table, model):
    order = np.random.default_rng(1).permutation(table.height)
    assert score_batch(table[order], model).sort("row").equals(score_batch(table, model))


def test_what_is_added_is_what_the_detector_says(table, model):
    scored, detector = score_batch(table, model), load(model)
    assert np.array_equal(scored["score"], detector.anomaly_score(table))
    assert np.array_equal(scored["p_value"], detector.p_value(table))
    assert np.array_equal(scored["is_anomaly"], detector.is_anomaly(table))
    assert score_batch(table, detector).equals(scored)


@pytest.mark.parametrize("form", [as_arrow, as_record_batch])
def test_an_arrow_batch_gives_an_arrow_batch_with_the_same_figures(table, model, form):
    scored = score_batch(form(table), model)
    assert type(scored) is type(form(table))
    scored.validate(full=True)
    assert pl.DataFrame(scored).equals(score_batch(table, model))
    assert [str(scored.schema.field(name).type) for name in ADDED] == ["double", "double", "bool"]


def test_the_function_of_the_spark_recipe_maps_a_stream_of_batches(table, model):
    def scored(batches):
        for batch in batches:
            yield score_batch(batch, model)

    stream = iter(as_arrow(table).to_batches(max_chunksize=700))
    assert pl.DataFrame(pa.Table.from_batches(scored(stream))).equals(score_batch(table, model))


def test_the_batch_itself_is_left_as_it_was_in_front_of_the_new_columns(table, model):
    before = table.clone()
    scored = score_batch(table, model, prefix="x_")
    assert scored.columns == [*table.columns, "x_score", "x_p_value", "x_is_anomaly"]
    assert scored.select(table.columns).equals(before)
    assert table.equals(before)


def test_arrow_columns_that_polars_does_not_know_are_carried_along(table, model):
    n = table.height
    carried = pa.array([[("a", k)] for k in range(n)], pa.map_(pa.string(), pa.int64()))
    batch = as_record_batch(table).append_column("tags", carried)
    scored = score_batch(batch, model)
    assert scored.schema.names == [*batch.schema.names, *ADDED]
    assert scored.column("tags").equals(carried)


@pytest.mark.parametrize("form", [pl.DataFrame, as_arrow])
def test_no_rows_in_no_rows_out_with_the_same_columns(table, model, form):
    scored = score_batch(form(table.head(0)), model)
    full = score_batch(form(table), model)
    assert (len(scored), scored.schema) == (0, full.schema)


def test_without_held_out_rows_p_values_are_empty_and_keep_their_type(table):
    detector = registry.load("pca")(random_state=0, calibration=0).fit(table.select("bytes"))
    scored = score_batch(as_arrow(table), detector)
    assert scored.column("p_value").null_count == table.height
    assert scored.schema.field("p_value").type == pa.float64()


def test_a_detector_of_an_array_takes_columns_by_position(table):
    numbers = table.select("row", "bytes").rename({"row": "a", "bytes": "b"})
    detector = registry.load("pca")(random_state=0).fit(numbers.to_numpy())
    assert np.array_equal(score_batch(as_arrow(numbers), detector)["score"], detector.anomaly_score(numbers.to_numpy()))


@pytest.mark.parametrize("form", [pl.DataFrame, as_arrow, as_record_batch])
@pytest.mark.parametrize("n", [0, 5])
def test_a_missing_column_is_named_even_where_there_are_no_rows(table, model, form, n):
    rows = form(table.head(5).drop("rate"))[:n]
    with pytest.raises(DataError, match="no column 'rate'"):
        score_batch(rows, model)


def test_a_column_of_the_same_name_is_refused_and_a_prefix_helps(table, model):
    once = score_batch(table, model)
    with pytest.raises(ParameterError, match=r"'score' already.*prefix"):
        score_batch(once, model)
    assert score_batch(once, model, prefix="b_")["b_score"].equals(once["score"], check_names=False)


def test_repeated_column_names_are_refused(table, model):
    batch = as_record_batch(table.select("bytes", "rate", "flag"))
    with pytest.raises(DataError, match="more than one 'rate'"):
        score_batch(batch.append_column("rate", batch.column("rate")), model)


@pytest.mark.parametrize("rows", [[[1.0]], np.ones((2, 2)), None, pa.array([1.0])])
def test_what_is_no_batch_is_refused_with_what_is_taken(rows, model):
    with pytest.raises(DataError, match="polars DataFrame or a pyarrow"):
        score_batch(rows, model)


@pytest.fixture
def loads(monkeypatch):
    """Return the paths that are loaded from now on; a load takes a while."""
    seen = []

    def counted(path):
        seen.append(path)
        time.sleep(0.05)
        return load(path)

    monkeypatch.setattr(batches, "load", counted)
    monkeypatch.setattr(batches, "_LOADED", type(batches._LOADED)())
    return seen


def test_threads_of_a_process_load_a_model_file_once_between_them(table, model, loads):
    expected = score_batch(table, load(model))
    found = []
    threads = [threading.Thread(target=lambda: found.append(score_batch(table, model))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len(found) == 8
    assert all(scored.equals(expected) for scored in found)


def test_a_file_of_another_spelling_is_the_same_model(model, loads):
    assert load_once(model) is load_once(str(model.parent / ".." / model.parent.name / model.name))
    assert len(loads) == 1


def test_a_model_file_that_is_replaced_is_loaded_again(table, model, tmp_path, loads):
    path = tmp_path / "m.safetensors"
    path.write_bytes(model.read_bytes())
    first = score_batch(table, path)
    changed = load(model).set_threshold(-1.0)
    changed.save(path)
    second = score_batch(table, path)
    assert len(loads) == 2
    assert first["score"].equals(second["score"])
    assert second["is_anomaly"].all()


def test_only_so_many_models_are_kept(model, tmp_path, loads):
    for k in range(6):
        path = tmp_path / f"{k}"
        path.write_bytes(model.read_bytes())
        load_once(path)
    assert len(batches._LOADED) == 4


def test_a_model_file_that_is_absent_or_damaged_says_so(table, model, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        score_batch(table, tmp_path / "absent")
    (tmp_path / "short").write_bytes(model.read_bytes()[:500])
    with pytest.raises(ModelFileError):
        score_batch(table, tmp_path / "short")

"""A detector that was saved and loaded is the detector that was saved."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from forgery import document_of, every_ninth, forge
from sklearn.base import clone

import whitecrow.io
from whitecrow.calibrate import Quantile
from whitecrow.core import registry
from whitecrow.core.errors import DataError, ModelFileError, ParameterError, UnknownNameError
from whitecrow.detectors import NotFittedError
from whitecrow.io import inspect

# What class they give depends on a name or a file, which no type checker reads.
AutoEncoder: Any = registry.load("autoencoder")
load: Any = whitecrow.io.load


def small(name, **parameters):
    """Return a detector of this name that fits in a moment."""
    cls = registry.load(name)
    if hasattr(cls, "networks"):
        parameters = {"epochs": 2, **parameters}
    return cls(random_state=0, **parameters)


@pytest.mark.parametrize("name", registry.names("table"))
def test_every_detector_comes_back_whole(name, mixed_table, tmp_path):
    detector = small(name).fit(mixed_table, every_ninth(mixed_table))
    path = tmp_path / "model.safetensors"
    detector.save(path)
    loaded = load(path)

    assert type(loaded) is type(detector)
    assert loaded.get_params() == detector.get_params()
    assert vars(loaded).keys() == vars(detector).keys()
    np.testing.assert_array_equal(loaded.anomaly_score(mixed_table), detector.anomaly_score(mixed_table))
    np.testing.assert_array_equal(loaded.p_value(mixed_table), detector.p_value(mixed_table))
    np.testing.assert_array_equal(loaded.is_anomaly(mixed_table), detector.is_anomaly(mixed_table))
    np.testing.assert_array_equal(loaded.feature_names_in_, detector.feature_names_in_)
    assert loaded.threshold_source_ == detector.threshold_source_
    assert loaded.summary_ == detector.summary_
    again = tmp_path / "again.safetensors"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", registry.names("table"))
def test_a_loaded_detector_can_do_all_that_a_fitted_one_can(name, rows, tmp_path):
    detector = small(name).fit(rows, every_ninth(rows))
    detector.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")

    explained, expected = loaded.explain(rows[:2]), detector.explain(rows[:2])
    np.testing.assert_array_equal(explained.contributions, expected.contributions)
    for rule in (Quantile(0.2), 1.5):
        assert loaded.set_threshold(rule).threshold_ == detector.set_threshold(rule).threshold_
    copy: Any = clone(loaded)
    refitted = copy.fit(rows, every_ninth(rows))
    np.testing.assert_array_equal(refitted.anomaly_score(rows), detector.anomaly_score(rows))
    np.testing.assert_array_equal(loaded.fit(rows, every_ninth(rows)).anomaly_score(rows), detector.anomaly_score(rows))


@pytest.mark.parametrize("n_replicas", [1, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_scores_of_all_replicas_are_the_same_bit_for_bit(n_replicas, dropout, rows, tmp_path):
    detector = small("autoencoder", n_replicas=n_replicas, dropout=dropout, hidden_dims=(8, 4)).fit(rows)
    detector.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    for ours, theirs in zip(
        loaded.anomaly_score(rows, return_std=True),
        detector.anomaly_score(rows, return_std=True),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.replica_seeds_ == detector.replica_seeds_
    assert loaded.history_ == detector.history_
    assert loaded.n_epochs_ == detector.n_epochs_
    assert loaded.diverged_ == detector.diverged_


def test_noise_is_refilled_and_not_stored(fitted, content, written):
    loaded = load(written(content))
    assert not any("pool" in name for name in document_of(content)["digests"])
    for name, tensor in fitted.replicas_.stacked.items():
        assert torch.equal(loaded.replicas_.stacked[name], tensor), name


def test_parameters_keep_their_types(rows, tmp_path):
    detector = AutoEncoder(
        hidden_dims=(np.int64(6), 4),
        lr=np.float32(0.01),
        clip=np.float64(5),
        n_replicas=2,
        random_state=(5, 7),
        epochs=1,
    )
    detector.fit(rows).save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.hidden_dims == (6, 4)
    assert type(loaded.hidden_dims[0]) is int
    assert loaded.lr == np.float32(0.01)
    assert loaded.random_state == (5, 7)
    assert loaded.latent_dim is None


def test_a_random_state_becomes_none_and_the_drawn_seeds_stay(rows, tmp_path):
    detector = AutoEncoder(random_state=np.random.RandomState(3), epochs=1, n_replicas=2).fit(rows)
    detector.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.random_state is None
    assert loaded.replica_seeds_ == detector.replica_seeds_


def test_the_path_of_a_checkpoint_is_not_written(rows, tmp_path):
    detector = AutoEncoder(random_state=0, epochs=1, checkpoint=str(tmp_path / "secret-folder")).fit(rows)
    detector.save(tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").checkpoint is None
    assert b"secret-folder" not in (tmp_path / "model.safetensors").read_bytes()


def test_losses_that_are_not_finite_survive_as_nan(rows, tmp_path):
    detector = AutoEncoder(random_state=0, epochs=1).fit(rows)
    detector.history_ = {"fit.loss": [[1.5], [float("nan")], [float("inf")]]}
    detector.save(tmp_path / "model.safetensors")
    losses = np.array(load(tmp_path / "model.safetensors").history_["fit.loss"])
    np.testing.assert_array_equal(losses, [[1.5], [np.nan], [np.nan]])


def test_a_detector_without_held_out_rows_is_saved(rows, tmp_path):
    detector = AutoEncoder(random_state=0, epochs=1, calibration=0).fit(rows)
    detector.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.anomaly_score(rows), detector.anomaly_score(rows))
    with pytest.raises(DataError, match="held out no rows"):
        loaded.p_value(rows)


def test_a_detector_of_another_package_comes_back_whole(boxed, written, rows):
    loaded = load(written(boxed))
    np.testing.assert_array_equal(loaded.anomaly_score(rows), registry.load("box")().fit(rows).anomaly_score(rows))
    assert [str(t.dtype) for _, t in sorted(loaded.replicas_.stacked.items())] == [
        "torch.float64", "torch.float32", "torch.int64", "torch.bool",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("nested", ParameterError, "inner"),
        ("half", ModelFileError, "float16"),
        ("linear", ParameterError, "Register them as persistent"),
    ],
)
def test_what_a_file_cannot_hold_is_said_when_it_is_saved(name, error, match, plugins, rows, tmp_path):
    detector = registry.load(name)(random_state=0)
    detector.set_params(**({"epochs": 1} if name == "linear" else {}))
    detector.fit(rows)
    with pytest.raises(error, match=match):
        detector.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_threshold_set_later_is_the_one_saved(rows, tmp_path):
    detector = AutoEncoder(random_state=0, epochs=1).fit(rows).set_threshold(12.25)
    detector.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert (loaded.threshold_, loaded.threshold_source_) == (12.25, "set by hand")


def test_saving_an_unfitted_detector_says_so(tmp_path):
    with pytest.raises(NotFittedError, match="not fitted"):
        AutoEncoder().save(tmp_path / "model.safetensors")


def test_saving_an_unregistered_class_says_how_to_register_it(fitted, tmp_path):
    class Mine(AutoEncoder):
        pass

    mine = Mine()
    mine.__dict__.update(vars(fitted))
    with pytest.raises(UnknownNameError, match="not registered"):
        mine.save(tmp_path / "model.safetensors")


def test_a_parameter_changed_after_fit_is_found_before_the_old_file_is_replaced(rows, tmp_path):
    path = tmp_path / "model.safetensors"
    detector = AutoEncoder(random_state=0, epochs=1, hidden_dims=(6,)).fit(rows)
    detector.save(path)
    before = path.read_bytes()
    detector.set_params(hidden_dims=(7,))
    with pytest.raises(ParameterError, match="fit again"):
        detector.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_weights_that_are_not_finite_are_not_saved(rows, tmp_path):
    detector = AutoEncoder(random_state=0, epochs=1).fit(rows)
    detector.replicas_.stacked["noise_level"][0, 0] = np.nan
    with pytest.raises(ModelFileError, match=r"noise_level.* not finite"):
        detector.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_saving_into_an_absent_folder_or_onto_a_folder_says_so(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        fitted.save(tmp_path / "absent" / "model.safetensors")
    with pytest.raises(DataError, match="not a regular file"):
        fitted.save(tmp_path)


def test_the_same_detector_gives_the_same_file(fitted, content, tmp_path):
    fitted.save(tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").read_bytes() == content


def test_a_device_that_this_machine_lacks_falls_back_to_the_processor(content, written, rows, fitted):
    path = written(forge(content, lambda d: d["parameters"].update(device="cuda:63")))
    loaded = load(path)
    assert loaded.device == "cuda:63"
    assert {tensor.device.type for tensor in loaded.replicas_.stacked.values()} == {"cpu"}
    np.testing.assert_array_equal(loaded.anomaly_score(rows), fitted.anomaly_score(rows))


def test_a_device_that_was_asked_for_must_exist(content, written):
    with pytest.raises(ParameterError, match="device"):
        load(written(content), device="cuda:63")
    assert load(written(content), device="cpu").device == "auto"


def test_inspect_tells_what_is_inside_as_json(fitted, content, written):
    found = inspect(written(content))
    assert json.loads(json.dumps(found)) == found
    assert found["detector"] == "autoencoder"
    assert found["parameters"]["hidden_dims"] == [6]
    assert found["threshold"] == {"value": fitted.threshold_, "source": fitted.threshold_source_}
    assert found["columns"] == [{"name": f"x{k}", "kind": "number"} for k in range(4)]
    assert found["stored_rows"] == {
        "calibration_scores": len(fitted.calibration_scores_),
        "fit_scores": len(fitted.fit_scores_),
        "reference": len(fitted.reference_),
    }
    assert found["tensors"]["networks.noise_level"] == {"dtype": "F32", "shape": [1, 4]}
    assert found["summary"] == fitted.summary_
    assert found["bytes"] == len(content)


def test_inspect_reads_no_tensor_and_needs_no_class(content, written):
    changed = forge(content, lambda d: d.update(detector="of-another-package"))
    assert inspect(written(changed[:-8] + b"\xff" * 8))["detector"] == "of-another-package"


def test_inspect_imports_no_torch(content, written):
    script = (
        "import sys; from whitecrow.io import inspect; inspect(sys.argv[1]); "
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(written(content))], check=True)


def test_a_missing_file_is_a_missing_file(tmp_path):
    for read in (load, inspect):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            read(tmp_path / "absent.safetensors")


def test_reference_rows_are_at_most_500(tmp_path):
    rows = np.random.default_rng(0).normal(size=(1500, 2))
    AutoEncoder(random_state=0, epochs=1).fit(rows).save(tmp_path / "model.safetensors")
    assert inspect(tmp_path / "model.safetensors")["stored_rows"]["reference"] == 500

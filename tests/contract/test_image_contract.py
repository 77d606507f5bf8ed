"""The contract that every registered detector of images keeps; a new one is covered by being registered.

The images are of 8 x 8 pixels: two soft horizontal bars, of which no two lie alike. What departs from them is turned by
a right angle, is noise, or bears a bright square.
"""

import copy
import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

import whitecrow as wc
from whitecrow.core import parameters, registry
from whitecrow.core.errors import DataError, FitCancelled, ModelFileError, ParameterError
from whitecrow.io import inspect as inspect_file
from whitecrow.io import score_batch
from whitecrow.train import Batch, Progress, Replicas, monitor, train

NAMES = wc.detectors("image")
DEEP = [name for name in NAMES if issubclass(registry.load(name), wc.DeepDetector)]
UNSUPERVISED = [name for name in NAMES if not registry.load(name).uses_labels]
WITH_MAPS = [
    name
    for name in NAMES
    if registry.load(name).map_batch is not wc.Detector.map_batch
    or registry.load(name).feature_scores is not wc.Detector.feature_scores
]
REBUILDS = [name for name in NAMES if registry.load(name).rebuild_batch is not wc.Detector.rebuild_batch]
ROOT = Path(__file__).parents[2]
SIDE, SQUARE = 8, 3

# A search for a code, image by image, takes most of the time of those that need one, and so does that for a bank.
SEARCH = {"anogan": {"n_starts": 16, "n_search_steps": 2}}
BANK = {"patchcore": {"min_bank": 100}}
# Stages with epochs of their own.
STAGES = {"deep-svdd": {"pretraining": 2}, "fence-gan": {"warm_up": 1}, "conv-vae": {"warm_up": 1}}
# Narrow networks learn in half the time.
NARROW = {
    **{name: {"hidden_dims": (8,)} for name in ("alad", "anogan", "deep-svdd", "egbad", "fence-gan", "mem-ae")},
    **{name: {"channels": (8,)} for name in DEEP if "channels" in parameters.fields(registry.load(name))},
}
# The largest of those that learn enough all the same are narrow where quality is looked at, too.
LARGEST = ("alad", "conv-vae", "encoder-gan", "f-anogan")
# Epochs of those whose score, a distance of codes, turns round only when the codes have come to mean something.
ENOUGH = {"ganomaly": 60}


def quick(name: str, **parameters: object) -> wc.Detector:
    """Return a detector that trains for moments."""
    small = {**SEARCH.get(name, {}), **BANK.get(name, {}), **STAGES.get(name, {}), **NARROW.get(name, {})}
    return wc.detector(name, **{"random_state": 0, **({"epochs": 2} if name in DEEP else {}), **small, **parameters})


def bars(n: int, seed: int, side: int = SIDE) -> np.ndarray:
    """Return images of two soft horizontal bars, bytes [n, side, side]."""
    rng = np.random.default_rng(seed)
    y = np.arange(side)[:, None, None]
    centres = np.array([0.25, 0.7]) * side + rng.normal(scale=0.35, size=(n, 1, 1, 2))
    light = 0.6 * np.exp(-((y - centres) ** 2) / (2 * 0.8**2)).sum(-1) * rng.uniform(0.85, 1.15, size=(n, 1, 1))
    pixels = 0.1 + np.broadcast_to(light, (n, side, side)) + rng.normal(scale=0.02, size=(n, side, side))
    return (255 * pixels.clip(0, 1)).astype(np.uint8)


def turned(n: int, seed: int) -> np.ndarray:
    """Return images of vertical bars, whose pixels are as bright as those of normal ones."""
    return bars(n, seed).transpose(0, 2, 1).copy()


def noise(n: int, seed: int) -> np.ndarray:
    """Return images of independent pixels."""
    return np.random.default_rng(seed).integers(0, 256, size=(n, SIDE, SIDE), dtype=np.uint8)


def pasted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images with a bright square, and where it is, bool [n, H, W]."""
    images, rng = bars(n, seed), np.random.default_rng(seed)
    masks = np.zeros(images.shape, bool)
    for mask, (top, left) in zip(masks, rng.integers(0, SIDE - SQUARE + 1, size=(n, 2)), strict=True):
        mask[top : top + SQUARE, left : left + SQUARE] = True
    return np.where(masks, np.uint8(255), images), masks


TRAIN, NORMAL, TURNED = bars(300, 0), bars(200, 1), turned(100, 2)
FEW, MIXED = TRAIN[:60], np.concatenate([NORMAL[:20], TURNED[:10], noise(10, 3)])


@cache
def fitted(name: str) -> wc.Detector:
    """Return a detector that has learnt the bars; no test may change it."""
    enough = {**SEARCH.get(name, {}), **({"epochs": ENOUGH.get(name, 15)} if name in DEEP else {})}
    enough |= NARROW[name] if name in LARGEST else {}
    return wc.detector(name, random_state=0, calibration=0.3, **enough).fit(TRAIN)


@cache
def seen_few(name: str) -> wc.Detector:
    """Return a detector that has seen a few bars for moments; no test may change it."""
    return quick(name).fit(FEW)


@cache
def replicas_and_solo_fits(name: str) -> tuple[wc.Detector, list[wc.Detector]]:
    """Return a detector of three replicas, and one of each of their seeds; no test may change them."""
    together = quick(name, n_replicas=3).fit(FEW)
    return together, [quick(name, random_state=seed).fit(FEW) for seed in together.replica_seeds_]


# ---- what scikit-learn expects ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_clone_has_the_parameters_and_nothing_that_was_learnt(name: str) -> None:
    copy = clone(fitted(name))
    assert copy.get_params() == fitted(name).get_params()
    assert not hasattr(copy, "threshold_")
    assert copy.set_params(contamination=0.2).contamination == 0.2
    # Every default passes the checks that a fit begins with.
    wc.detector(name)._check_parameters()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_seen_is_recorded(name: str) -> None:
    detector = fitted(name)
    assert (detector.spec_.kind, detector.spec_.shape) == ("image", (1, SIDE, SIDE))
    assert detector.n_features_in_ == SIDE**2
    assert (detector.summary_["rows_trained_on"], detector.summary_["rows_held_out"]) == (210, 90)
    assert json.loads(json.dumps(detector.summary_)) == detector.summary_


@pytest.mark.parametrize("name", NAMES)
def test_bad_parameters_are_refused_before_training(name: str) -> None:
    with pytest.raises(ParameterError, match=r"contamination=0\.9.*from 0 to 0\.5"):
        quick(name, contamination=0.9).fit(FEW)
    with pytest.raises(ParameterError, match=r"has no parameter 'contaminatoin'.*Did you mean contamination"):
        wc.detector(name, contaminatoin=0.1)


# ---- same seed, same result (T3, T10) --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_refit_forgets_and_repeats(name: str) -> None:
    detector = quick(name).fit(FEW)
    first = detector.anomaly_score(MIXED)
    detector.fit(noise(30, 0))
    np.testing.assert_array_equal(detector.fit(FEW).anomaly_score(MIXED), first)
    np.testing.assert_array_equal(seen_few(name).anomaly_score(MIXED), first)


@pytest.mark.parametrize("name", DEEP)
def test_another_seed_gives_another_result(name: str) -> None:
    other = quick(name, random_state=1).fit(FEW)
    assert not np.allclose(other.anomaly_score(MIXED), seen_few(name).anomaly_score(MIXED))


@pytest.mark.parametrize("name", NAMES)
def test_global_random_states_are_untouched(name: str) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    quick(name, random_state=None).fit(FEW).anomaly_score(MIXED)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert random.getstate() == before[2]


@pytest.mark.parametrize("name", NAMES)
def test_the_images_that_are_given_are_left_as_they_are(name: str) -> None:
    train, test = FEW / 255, MIXED / 255
    quick(name).fit(train).anomaly_score(test)
    np.testing.assert_array_equal(train, FEW / 255)
    np.testing.assert_array_equal(test, MIXED / 255)


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_labels_do_not_reach_an_unsupervised_fit(name: str) -> None:
    images = np.concatenate([FEW, TURNED[:6]])
    truth = np.repeat([0, 1], [60, 6])
    np.testing.assert_array_equal(
        quick(name).fit(images, truth).anomaly_score(MIXED), quick(name).fit(images).anomaly_score(MIXED)
    )


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_known_anomalies_are_kept_out_of_training(name: str) -> None:
    images, labels = np.concatenate([FEW, TURNED[:12]]), np.repeat([0, 1], [60, 12])
    clean = quick(name, regime="clean").fit(FEW).anomaly_score(MIXED)
    np.testing.assert_array_equal(quick(name, regime="labelled").fit(images, labels).anomaly_score(MIXED), clean)


# ---- a score depends on its image alone (T1, T2) ---------------------------------------------------------------------


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    """Check that scores or maps differ by rounding only."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", NAMES)
def test_score_does_not_depend_on_the_other_images(name: str) -> None:
    detector = fitted(name)
    whole = detector.anomaly_score(MIXED)
    assert whole.shape == (len(MIXED),)
    assert np.isfinite(whole).all()
    agree(np.concatenate([detector.anomaly_score(image[None]) for image in MIXED[::4]]), whole[::4])
    agree(np.concatenate([detector.anomaly_score(MIXED[i : i + 7]) for i in range(0, len(MIXED), 7)]), whole)
    order = np.random.default_rng(0).permutation(len(MIXED))
    agree(detector.anomaly_score(MIXED[order]), whole[order])
    agree(detector.anomaly_score(np.tile(MIXED, (30, 1, 1)))[-len(MIXED) :], whole)
    np.testing.assert_array_equal(detector.anomaly_score(MIXED), whole)


@pytest.mark.parametrize("name", NAMES)
def test_scores_of_normal_images_do_not_depend_on_anomalies_beside_them(name: str) -> None:
    alone = fitted(name).anomaly_score(NORMAL)
    beside = fitted(name).anomaly_score(np.concatenate([noise(50, 0), NORMAL, np.full_like(NORMAL, 255)]))
    agree(beside[50:250], alone)


@pytest.mark.parametrize("name", WITH_MAPS)
def test_map_does_not_depend_on_the_other_images(name: str) -> None:
    detector = fitted(name)
    whole = detector.anomaly_map(MIXED)
    agree(np.concatenate([detector.anomaly_map(MIXED[i : i + 7]) for i in range(0, len(MIXED), 7)]), whole)
    order = np.random.default_rng(0).permutation(len(MIXED))
    agree(detector.anomaly_map(MIXED[order]), whole[order])


# ---- one image in any form (T7) --------------------------------------------------------------------------------------

FORMS = {
    "float64": lambda u: u / 255,
    "float32": lambda u: (u / 255).astype(np.float32),
    "16 bits": lambda u: u.astype(np.uint16) * 257,
    "channel last": lambda u: u[..., None],
    "channel first": lambda u: u[:, None],
    "list": list,
    "colour": lambda u: np.repeat(u[..., None], 3, axis=3),
    "colour first": lambda u: np.repeat(u[:, None], 3, axis=1),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("name", NAMES)
def test_an_image_scores_the_same_in_any_form(name: str, form: object) -> None:
    agree(fitted(name).anomaly_score(form(MIXED)), fitted(name).anomaly_score(MIXED))


@pytest.mark.parametrize("name", NAMES)
def test_coloured_images_are_learnt_and_scored(name: str) -> None:
    tint = np.array([1.0, 0.7, 0.4])
    train, test = ((u[..., None] * tint).astype(np.uint8) for u in (FEW, MIXED))
    detector = quick(name).fit(train)
    assert detector.spec_.shape == (3, SIDE, SIDE)
    scores = detector.anomaly_score(test)
    assert np.isfinite(scores).all()
    agree(detector.anomaly_score(np.moveaxis(test, 3, 1)), scores)
    repeated = np.repeat(MIXED[..., None], 3, axis=3)
    agree(detector.anomaly_score(MIXED), detector.anomaly_score(repeated))
    if name in WITH_MAPS:
        assert detector.anomaly_map(test).shape == (len(test), SIDE, SIDE)


def test_a_fit_on_files_equals_a_fit_on_their_pixels(tmp_path: Path) -> None:
    for k, pixels in enumerate(FEW):
        Image.fromarray(pixels).save(tmp_path / f"{k:03}.png")
    by_files, by_pixels = quick("conv-autoencoder").fit(tmp_path), quick("conv-autoencoder").fit(FEW)
    np.testing.assert_array_equal(by_files.anomaly_score(MIXED), by_pixels.anomaly_score(MIXED))
    np.testing.assert_array_equal(by_files.anomaly_score(tmp_path), by_files.anomaly_score(FEW))
    np.testing.assert_array_equal(by_files.anomaly_map(str(tmp_path)), by_files.anomaly_map(FEW))


# ---- quality (T5, T6) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", [TURNED, noise(100, 4), pasted(100, 5)[0]], ids=["turned", "noise", "square"])
def test_what_departs_scores_higher(name: str, odd: np.ndarray) -> None:
    scores = fitted(name).anomaly_score(np.concatenate([NORMAL, odd]))
    assert np.median(scores[200:]) > np.quantile(scores[:200], 0.95)


@pytest.mark.parametrize("name", NAMES)
def test_shuffled_labels_find_nothing(name: str) -> None:
    scores = fitted(name).anomaly_score(np.concatenate([NORMAL, TURNED]))
    shuffled = np.random.default_rng(0).permutation(np.repeat([0, 1], [200, 100]))
    standard_error = np.sqrt(301 / (12 * 200 * 100))
    assert abs(roc_auc_score(shuffled, scores) - 0.5) < 3 * standard_error


@pytest.mark.parametrize("name", DEEP)
def test_training_beats_the_initialisation(name: str) -> None:
    detector, test = clone(fitted(name)), np.concatenate([NORMAL, TURNED])
    labels = np.repeat([0, 1], [200, 100])
    trained = roc_auc_score(labels, fitted(name).anomaly_score(test))
    vars(detector).update(vars(fitted(name)))
    detector.replicas_ = Replicas.build(detector.networks, detector.spec_, detector.replica_seeds_, "direct")
    detector.replicas_.draw_noise("score")
    assert trained > roc_auc_score(labels, detector.anomaly_score(test))


@pytest.mark.parametrize("name", WITH_MAPS)
def test_map_finds_the_pasted_square(name: str) -> None:
    images, masks = pasted(40, 6)
    maps = fitted(name).anomaly_map(images)
    assert maps.shape == images.shape
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert np.mean([roc_auc_score(mask.ravel(), m.ravel()) for mask, m in zip(masks, maps, strict=True)]) > 0.9


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(WITH_MAPS)))
def test_a_method_without_scores_by_pixel_says_so(name: str) -> None:
    with pytest.raises(ParameterError, match="scores an image as a whole"):
        fitted(name).anomaly_map(MIXED)


@pytest.mark.parametrize("name", REBUILDS)
def test_images_are_rebuilt_each_by_itself(name: str) -> None:
    detector = fitted(name)
    whole = detector.reconstruction(MIXED)
    assert (whole.shape, whole.dtype) == (MIXED.shape, np.float32)
    assert whole.min() >= 0
    assert whole.max() <= 1
    agree(np.concatenate([detector.reconstruction(MIXED[i : i + 7]) for i in range(0, len(MIXED), 7)]), whole)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(REBUILDS)))
def test_a_method_that_rebuilds_nothing_says_so(name: str) -> None:
    with pytest.raises(ParameterError, match="rebuilds no images"):
        fitted(name).reconstruction(MIXED)


# ---- thresholds and p-values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_p_values_hold_on_new_normal_images(name: str) -> None:
    p = fitted(name).p_value(NORMAL)
    assert p.min() >= 1 / 91
    for level in (0.05, 0.1, 0.5):
        # 3.5 standard errors of the calibration set and of the test set together
        assert (p <= level).mean() <= level + 3.5 * np.sqrt(level * (1 - level) * (1 / 90 + 1 / 200))
    assert np.median(fitted(name).p_value(TURNED)) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_the_share_that_is_flagged_is_the_contamination(name: str) -> None:
    detector = quick(name, contamination=0.1).fit(TRAIN)
    assert detector.is_anomaly(TRAIN).mean() == pytest.approx(0.1, abs=0.01)
    assert len(detector.fit_scores_) == len(TRAIN)
    scores = detector.anomaly_score(MIXED)
    np.testing.assert_array_equal(detector.predict(MIXED), np.where(scores > detector.threshold_, -1, 1))
    np.testing.assert_allclose(detector.decision_function(MIXED), detector.threshold_ - scores)
    np.testing.assert_array_equal(detector.score_samples(MIXED), -scores)
    assert not quick(name, contamination=0).fit(FEW).is_anomaly(FEW).any()


@pytest.mark.parametrize("name", NAMES)
def test_threshold_can_be_set_without_a_refit(name: str) -> None:
    from whitecrow.calibrate import BestF1, Quantile

    detector, test = copy.deepcopy(seen_few(name)), np.concatenate([NORMAL, TURNED])
    labels = np.repeat([0, 1], [200, 100])
    detector.set_threshold(Quantile(0.25), test)
    assert detector.is_anomaly(test).mean() == pytest.approx(0.25, abs=0.01)
    detector.set_threshold(BestF1(), test, labels)
    assert "labelled" in detector.threshold_source_
    detector.set_threshold(float(detector.anomaly_score(test).max()))
    assert not detector.is_anomaly(test).any()


# ---- odd sets of images (T8) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "images",
    [
        FEW[:2],
        FEW[:11],
        np.repeat(FEW[:3], 20, axis=0),
        np.full((40, SIDE, SIDE), 90, np.uint8),
        np.full((40, SIDE, SIDE), 300.0),
        np.zeros((40, SIDE, SIDE), np.uint8),
        FEW > 90,
        FEW * 1e6,
    ],
    ids=["two", "few", "duplicates", "one-value", "one-large-value", "black", "truth-values", "large"],
)
@pytest.mark.filterwarnings("ignore::whitecrow.core.errors.WhitecrowWarning")
def test_odd_sets_are_scored(name: str, images: np.ndarray) -> None:
    detector = quick(name).fit(images)
    scores = detector.anomaly_score(images)
    assert scores.shape == (len(images),)
    assert np.isfinite(scores).all()
    if images.dtype == np.uint8:
        assert np.isfinite(detector.anomaly_score(MIXED)).all()
    if name in WITH_MAPS:
        assert np.isfinite(detector.anomaly_map(images)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (5, 9), (3, 17)], ids=str)
@pytest.mark.filterwarnings("ignore::whitecrow.core.errors.WhitecrowWarning")
def test_images_of_any_size_are_learnt_and_scored(name: str, shape: tuple[int, int]) -> None:
    # Batches of 8, 8 and 1: batch normalisation of one image that ends as one pixel has nothing to divide by.
    images = np.random.default_rng(0).integers(0, 256, size=(17, *shape), dtype=np.uint8)
    as_fits = dict.fromkeys(NARROW.get(name, {}))  # as many stages as the sides allow
    detector = quick(name, calibration=0.0, **({"validation": 0.0} if name in DEEP else {}), **as_fits).fit(images)
    assert np.isfinite(detector.anomaly_score(images)).all()
    if name in WITH_MAPS:
        assert detector.anomaly_map(images).shape == images.shape


# ---- what is refused -------------------------------------------------------------------------------------------------


def spoilt(value: float) -> np.ndarray:
    """Return images of which one holds a value that cannot be used."""
    images = FEW / 255
    images[7, 2, 3] = value
    return images


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("images", "says"),
    [
        (spoilt(np.nan), "NaN"),
        (spoilt(np.inf), "inf"),
        (FEW[:0], "0 samples"),
        (FEW[:1], "1 samples"),
        ([FEW[0], FEW[1][:5]], "one shape"),
        (np.zeros((9, SIDE, SIDE, 2)), "NHWC"),
        (np.zeros((9, 3, SIDE, 3)), "NHWC"),
        (np.full((9, SIDE, SIDE), "x"), "type|numeric|convert"),
        (np.full((9, SIDE, SIDE), None), "type"),
        (np.zeros((9, 2, 3, SIDE, SIDE)), r"shape|dim 5"),
        (np.zeros((9, 0, SIDE)), "1 pixel"),
    ],
    ids=["nan", "inf", "none", "one", "ragged", "two-channels", "unclear", "strings", "objects", "5d", "no-pixels"],
)
def test_bad_images_are_refused_before_training(
    name: str, images: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def training(*_: object) -> None:
        pytest.fail("training began")

    monkeypatch.setattr(registry.load(name), "_fit_networks", training)
    detector = quick(name)
    with pytest.raises(DataError, match=says):
        detector.fit(images)
    assert not hasattr(detector, "threshold_")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("images", "says"),
    [
        (MIXED[:, :6], "6 x 8 pixels.*fitted on 8 x 8"),
        (np.zeros((3, SIDE, SIDE, 4), np.uint8), "4 channels.*fitted on 1"),
        (MIXED.astype(float), r"from \d+ to \d+, but.*from 0 to 1"),
        (spoilt(np.nan), "NaN"),
        (MIXED[:0], "0 samples"),
        (MIXED[0], r"X\[None\]"),
        (np.zeros((3, SIDE**2)), r"\[N, H, W\]"),
    ],
    ids=["size", "channels", "range", "nan", "none", "one-alone", "table"],
)
def test_images_unlike_those_of_the_fit_are_refused(name: str, images: np.ndarray, says: str) -> None:
    for call in (fitted(name).anomaly_score, fitted(name).anomaly_map, fitted(name).p_value):
        with pytest.raises(DataError, match=says):
            call(images)


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_refit_leaves_no_mixture(name: str) -> None:
    detector = copy.deepcopy(seen_few(name))
    with pytest.raises(DataError):
        detector.fit(spoilt(np.nan))
    with pytest.raises(wc.NotFittedError):
        detector.anomaly_score(MIXED)


@pytest.mark.parametrize("name", NAMES)
def test_unfitted_detector_says_so(name: str, tmp_path: Path) -> None:
    detector = quick(name)
    calls = (detector.anomaly_score, detector.anomaly_map, detector.is_anomaly, detector.p_value, detector.explain)
    for call in calls:
        with pytest.raises(wc.NotFittedError, match="not fitted"):
            call(MIXED)
    with pytest.raises(wc.NotFittedError, match="not fitted"):
        detector.save(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_what_needs_columns_points_to_the_map(name: str) -> None:
    with pytest.raises(DataError, match=r"explain needs .* fitted on a table, not on image data\. .*anomaly_map\(X\)"):
        fitted(name).explain(MIXED)
    import polars as pl

    with pytest.raises(DataError, match=r"fitted on a table, not on image data"):
        score_batch(pl.DataFrame({"a": [1.0]}), fitted(name))


@pytest.mark.parametrize("name", [name for name in NAMES if "table" in registry.load(name).kinds])
def test_a_detector_that_was_fitted_on_a_table_has_no_map(name: str) -> None:
    detector = quick(name).fit(np.random.default_rng(0).normal(size=(60, 4)))
    assert detector.spec_.kind == "table"
    with pytest.raises(DataError, match="fitted on a table, not on images"):
        detector.anomaly_map(MIXED)


# ---- files (T4) ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_saved_detector_scores_the_same(name: str, tmp_path: Path) -> None:
    detector, path = fitted(name), tmp_path / "model.safetensors"
    detector.save(path)
    loaded = wc.load(path)
    np.testing.assert_array_equal(loaded.anomaly_score(MIXED), detector.anomaly_score(MIXED))
    np.testing.assert_array_equal(loaded.p_value(MIXED), detector.p_value(MIXED))
    np.testing.assert_array_equal(loaded.is_anomaly(MIXED), detector.is_anomaly(MIXED))
    if name in WITH_MAPS:
        np.testing.assert_array_equal(loaded.anomaly_map(MIXED), detector.anomaly_map(MIXED))
    assert loaded.threshold_ == detector.threshold_
    assert loaded.get_params() == detector.get_params()
    assert loaded.spec_ == detector.spec_
    assert loaded.n_features_in_ == detector.n_features_in_
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    shown = inspect_file(path)
    assert shown["spec"] == {"kind": "image", "shape": [1, SIDE, SIDE]}
    assert shown["columns"] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_file_whose_encoder_was_changed_is_refused(name: str, tmp_path: Path) -> None:
    fitted(name).save(tmp_path / "model.safetensors")
    whole = (tmp_path / "model.safetensors").read_bytes()
    shape = b"[1, 8, 8]"
    assert whole.count(shape) == 2  # of the spec and of the encoder
    last = whole.rindex(shape)
    for other in (b"[1, 9, 8]", b"[3, 8, 8]", b"[0, 8, 8]", b"[1, 8 8] "):
        forged = whole[:last] + other + whole[last + len(shape) :]
        for changed in (whole.replace(shape, other, 1), forged, whole.replace(shape, other)):
            (tmp_path / "changed.safetensors").write_bytes(changed)
            with pytest.raises(ModelFileError):
                wc.load(tmp_path / "changed.safetensors")


# ---- gradient-trained detectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEEP)
def test_replicas_are_solo_fits(name: str) -> None:
    together, solo = replicas_and_solo_fits(name)
    assert len(set(together.replica_seeds_)) == 3
    each = together._score(together._encode(MIXED))
    alone = [detector.anomaly_score(MIXED) for detector in solo]
    np.testing.assert_allclose(each, alone, rtol=5e-5, atol=1e-6 * np.ptp(alone))
    mean, std = together.anomaly_score(MIXED, return_std=True)
    np.testing.assert_allclose(mean, np.mean(alone, axis=0), rtol=1e-4)
    assert (std > 0).any()


@pytest.mark.parametrize("name", [name for name in DEEP if name in WITH_MAPS])
def test_map_is_the_mean_of_those_of_the_replicas(name: str) -> None:
    together, solo = replicas_and_solo_fits(name)
    alone = [detector.anomaly_map(MIXED) for detector in solo]
    np.testing.assert_allclose(together.anomaly_map(MIXED), np.mean(alone, axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DEEP)
def test_every_parameter_has_a_gradient_of_its_objectives(name: str) -> None:
    detector = fitted(name)
    x, y = torch.from_numpy(detector._encode(FEW)), torch.full((len(FEW),), -1)
    replicas = Replicas.build(detector.networks, detector.spec_, [0], "direct")
    replicas.draw_noise("test")
    with torch.no_grad():  # as the engine calls it
        detector.prepare(replicas.replica(0), x, y)
    trained: set[str] = set()
    for stage in detector.stages():
        for objective in stage.objectives:
            leaves = replicas.leaves(objective.trains)
            replicas.freeze_all_but(leaves)
            loss = replicas.losses(getattr(detector, objective.loss), Batch(x, y))
            grads = torch.autograd.grad(loss, leaves)
            parameters = dict(replicas.replica(0).named_parameters())
            names = [n for leaf in leaves for n, p in parameters.items() if p is leaf]
            dead = [n for n, g in zip(names, grads, strict=True) if not g.abs().sum() > 0]
            assert not dead
            trained.update(names)
    assert trained == set(replicas.trainable)


def state_after(detector: wc.Detector, stages: tuple, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Return what a training of these stages leaves, one epoch each."""
    brief = tuple(replace(stage, epochs=1) for stage in stages)
    monkeypatch.setattr(type(detector), "stages", lambda self: brief)
    x, y = torch.from_numpy(detector._encode(FEW)), torch.full((len(FEW),), -1)
    training = train(detector, x, y, spec=detector.spec_, seeds=[0], settings=detector._settings(len(x)))
    kept = {name for name, _ in training.replicas.replica(0).tensors(persistent=True)}
    return {name: t[0].clone() for name, t in training.replicas.stacked.items() if name in kept}


@pytest.mark.parametrize("name", DEEP)
def test_an_objective_moves_only_what_it_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = fitted(name)
    stages = tuple(detector.stages())
    replicas = Replicas.build(detector.networks, detector.spec_, [0], "direct")
    for stage in stages:
        for objective in stage.objectives:
            after = state_after(detector, (replace(stage, objectives=(objective,), average=0.0),), monkeypatch)
            moved = {n for n in replicas.trainable if not torch.equal(after[n], replicas.stacked[n][0])}
            members = {n.split(".")[0] for n in moved}
            assert moved
            assert not objective.trains or members == set(objective.trains)


@pytest.mark.parametrize("name", DEEP)
def test_what_no_stage_trains_any_more_keeps_its_parameters_and_buffers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = fitted(name)
    stages = tuple(detector.stages())
    networks = detector.networks(detector.spec_)
    modules = {n for n, module in networks.named_children() if any(True for _ in module.parameters())}
    trainable = {n.split(".")[0] for n, p in networks.named_parameters() if p.requires_grad}
    trained = [{member for o in stage.objectives for member in (o.trains or trainable)} for stage in stages]
    for k in range(len(stages)):
        frozen = modules.difference(*trained[k:])  # a critic of the stage before, a teacher
        if not frozen:
            continue
        before = state_after(detector, stages[:k], monkeypatch)
        after = state_after(detector, stages[: k + 1], monkeypatch)
        drifted = [n for n in after if n.split(".")[0] in frozen and not torch.equal(after[n], before[n])]
        assert not drifted


class Stop:
    """Cancels the fit after its first complete epoch."""

    def __call__(self, progress: Progress) -> None:
        if progress.epoch >= 1:
            raise FitCancelled("stop")


@pytest.mark.parametrize("name", ["conv-autoencoder"])
def test_a_fit_that_is_resumed_equals_the_undisturbed_one(name: str, tmp_path: Path) -> None:
    undisturbed = quick(name, epochs=4).fit(FEW)
    resumable = quick(name, epochs=4, checkpoint=str(tmp_path / "fit.checkpoint"))
    with monitor(Stop()), pytest.raises(FitCancelled):
        resumable.fit(FEW)
    assert (tmp_path / "fit.checkpoint").exists()
    resumable.fit(FEW)
    np.testing.assert_array_equal(resumable.anomaly_score(MIXED), undisturbed.anomaly_score(MIXED))
    assert resumable.history_ == undisturbed.history_
    for tensor, other in zip(resumable.replicas_.stacked.values(), undisturbed.replicas_.stacked.values(), strict=True):
        assert torch.equal(tensor, other)


# ---- the registry ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_and_the_class_name_the_same_kinds(name: str) -> None:
    entry = registry._entries()[name]
    assert set(entry.extras) == set(registry.load(name).kinds)

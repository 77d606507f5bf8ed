"""The most anomalous patch of an image and its nearest normal patches, where a defect was planted."""

import numpy as np
import pytest
from tests.detectors.bar_images import bars

import whitecrow
from whitecrow.explain.originals import find_samples
from whitecrow.explain.patches import explain_patch
from whitecrow.explain.samples import explain_image

SIDE, DEFECT = 32, 6
PARAMETERS = {
    "pca": {"n_components": 8},
    "deep-svdd": {"epochs": 3},
    "patchcore": {"min_bank": 300, "max_bank": 300},
    "padim": {"n_channels": 20},
}
CELL = {"deep-svdd": 4, "padim": 4}  # pixels, of maps that are coarser than pixels and hold no patch of their own


def planted(seed: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Return an image of bars with a chequered square, and where that is."""
    image = bars(1, 1000 + seed, SIDE)[0]
    top, left = np.random.default_rng(seed).integers(2, SIDE - DEFECT - 2, 2).tolist()
    image[top : top + DEFECT, left : left + DEFECT] = np.indices((DEFECT, DEFECT)).sum(0) % 2
    return image, (top, left)


@pytest.fixture(scope="module")
def normal():
    return bars(80, 0, SIDE)


@pytest.fixture(scope="module")
def fitted(normal):
    made = {}

    def make(name):
        if name not in made:
            detector = whitecrow.detector(name, **PARAMETERS[name], random_state=0, regime="clean")
            made[name] = detector.fit(normal)
        return made[name]

    return make


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("seed", range(4))
def test_the_patch_lies_on_the_planted_defect_and_its_neighbours_in_normal_images(fitted, normal, name, seed):
    detector, (image, corner) = fitted(name), planted(seed)
    rows = find_samples(detector, lambda part: normal[part], np.arange(len(normal)))
    found = explain_image(detector, image[None], rows=rows).patch
    middle = [start + DEFECT / 2 for start in corner]
    place, slack = found.place, CELL.get(name, 0)
    assert place.top - slack <= middle[0] <= place.top + place.height + slack
    assert place.left - slack <= middle[1] <= place.left + place.width + slack
    assert len(found.neighbours) == 5
    assert len({near.row for near in found.neighbours}) == 5
    distances = [near.distance for near in found.neighbours]
    assert distances == sorted(distances)
    assert distances[0] > 0
    for near in found.neighbours:
        np.testing.assert_allclose(near.image, normal[near.row], atol=1e-6)
        assert near.place.of(near.image).shape == place.of(image).shape


def test_pixels_are_compared_at_every_place(fitted, normal):
    detector, (image, _) = fitted("pca"), planted(1)
    found = explain_image(detector, image[None], n_neighbours=3).patch
    assert found.method.startswith("Euclidean distance of pixels from 0 to 1; ")
    patch, (h, w) = found.place.of(image), found.place[2:]
    best = []
    for one in detector.encoder_.decode(detector.reference_):
        apart = {
            (top, left): np.linalg.norm(one[top : top + h, left : left + w] - patch)
            for top in range(SIDE - h + 1)
            for left in range(SIDE - w + 1)
        }
        best.append(min((distance, corner) for corner, distance in apart.items()))
    best.sort()
    assert [near.distance for near in found.neighbours] == pytest.approx([one[0] for one in best[:3]], rel=1e-5)
    assert [near.place[:2] for near in found.neighbours] == [one[1] for one in best[:3]]


def test_a_method_that_compares_patches_is_asked_for_its_features(fitted):
    detector, (image, _) = fitted("patchcore"), planted(2)
    found = explain_image(detector, image[None]).patch
    assert "features by which the method compares" in found.method
    row = detector.encoder_.transform(image[None])
    net = detector.replicas_.replica(0)
    import torch

    with torch.inference_mode():
        own, normal = (
            detector.patch_batch(net, torch.from_numpy(rows)).double().numpy() for rows in (row, detector.reference_)
        )
    y, x = np.unravel_index(detector.anomaly_map(image[None])[0].argmax(), (SIDE, SIDE))
    h, w = own.shape[1:3]
    cell = own[0, y * h // SIDE, x * w // SIDE]
    nearest = np.sort(np.linalg.norm(normal - cell, axis=3).min((1, 2)))[:5]
    assert [near.distance for near in found.neighbours] == pytest.approx(nearest.tolist(), rel=1e-5)


def test_a_training_image_is_not_its_own_neighbour(fitted):
    detector = fitted("pca")
    row = detector.reference_[3:4]
    found = explain_patch(detector, row, np.zeros((SIDE, SIDE)), rows=np.arange(len(detector.reference_)))
    assert 3 not in [near.row for near in found.neighbours]
    assert found.place[:2] == (0, 0)


def test_a_map_without_any_difference_and_few_normal_images_are_borne(normal):
    detector = whitecrow.detector("pca", n_components=1, calibration=0.0, contamination=0.0).fit(normal[:3])
    found = explain_image(detector, normal[:1]).patch
    assert len(found.neighbours) == 2


def test_colours_are_compared_in_all_channels_and_large_images_at_some_places(normal):
    rng = np.random.default_rng(0)
    large = rng.random((6, 3, 120, 120)).astype(np.float32)
    detector = whitecrow.detector("pca", n_components=1, calibration=0.0, contamination=0.0).fit(large)
    found = explain_image(detector, large[:1].transpose(0, 1, 3, 2).copy()).patch
    assert "at every" in found.method
    assert all(near.place.of(near.image).shape == (24, 24, 3) for near in found.neighbours)

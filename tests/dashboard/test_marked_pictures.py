"""A place that is marked in a picture: nothing of the place is covered, except at the edges of the image."""

import numpy as np
import pytest

from whitecrow.dashboard.pictures import marked
from whitecrow.explain.patches import Place

TIMES = 8  # of an image of 32 pixels


@pytest.mark.parametrize("image", [np.full((32, 32), 0.5), np.full((32, 32, 3), 0.5)], ids=["grey", "colours"])
def test_a_frame_stands_around_the_place(image):
    found = marked(image, Place(10, 20, 5, 6))
    assert found.shape == (256, 256, 3)
    assert (found[10 * TIMES : 15 * TIMES, 20 * TIMES : 26 * TIMES] == 0.5).all()
    assert (found[10 * TIMES - 1, 20 * TIMES : 26 * TIMES] == 1).all()
    assert (found[15 * TIMES, 20 * TIMES : 26 * TIMES] == 1).all()
    assert (found[10 * TIMES - 5, 20 * TIMES : 26 * TIMES] == 0).all()
    assert (found[: 10 * TIMES - 8] == 0.5).all()


@pytest.mark.parametrize("place", [Place(0, 0, 5, 5), Place(27, 27, 5, 5), Place(0, 0, 32, 32)])
def test_at_the_edge_all_sides_of_the_frame_are_seen(place):
    found = marked(np.full((32, 32), 0.5), place)[:, :, 0]
    middle = (place.top * TIMES + place.height * TIMES // 2, place.left * TIMES + place.width * TIMES // 2)
    for line in (found[middle[0]], found[:, middle[1]]):
        at = int(middle[1])
        assert (line[:at] == 1).any()
        assert (line[at:] == 1).any()
        assert line[at] == 0.5


def test_a_large_image_is_not_enlarged():
    assert marked(np.zeros((600, 500)), Place(5, 5, 20, 20)).shape == (600, 500, 3)

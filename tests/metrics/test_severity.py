"""Bands of severity, against their definition worked out by hand."""

import numpy as np
import pytest

from whitecrow.core.errors import DataError
from whitecrow.metrics.severity import BANDS, severity


def names(bands, scores):
    return [BANDS[level] for level in bands.levels(scores)]


def test_the_unit_is_the_way_from_the_median_to_the_threshold():
    bands = severity([1.0, 2.0, 3.0, 4.0, 90.0], threshold=5.0)
    assert (bands.usual, bands.unit) == (3.0, 2.0)
    assert bands.cuts == (4.0, 5.0, 7.0, 13.0)


def test_a_score_on_a_cut_is_in_the_milder_band_as_a_score_on_the_threshold_is_not_flagged():
    bands = severity([0.0, 0.0, 0.0], threshold=2.0)
    assert names(bands, [1.0, 2.0, 4.0, 10.0]) == ["low", "raised", "minor", "major"]
    assert names(bands, np.nextafter([1.0, 2.0, 4.0, 10.0], 99)) == ["raised", "minor", "major", "critical"]


def test_words_stay_when_scores_are_shifted_and_multiplied():
    rng = np.random.default_rng(0)
    scores = rng.lognormal(size=500)
    one, other = severity(scores, 3.0), severity(8 * scores + 16, 8 * 3.0 + 16)
    assert np.array_equal(one.levels(scores), other.levels(8 * scores + 16))


def test_a_threshold_below_the_median_takes_the_interquartile_range():
    assert severity([0.0, 1.0, 2.0, 3.0, 4.0], threshold=1.0).unit == 2.0


def test_constant_scores_at_the_threshold_are_raised_and_anything_above_is_not():
    bands = severity([1.0, 1.0], threshold=1.0)
    assert names(bands, [1.0, 1.1, 0.9]) == ["raised", "critical", "low"]
    assert list(bands.cuts) == sorted(set(bands.cuts))


def test_an_empty_bucket_has_no_band():
    assert severity([0.0, 1.0], 2.0).levels([np.nan]).tolist() == [-1]


def test_no_reference_is_refused():
    with pytest.raises(DataError):
        severity([], 1.0)

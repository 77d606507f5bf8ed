"""Bands of severity, against their definition worked out by hand."""

import numpy as np
import pytest

from whitecrow.core.errors import DataError
from whitecrow.metrics.severity import BANDS, RARE, rarity, severity


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


@pytest.mark.parametrize("seed", range(3))
def test_bands_of_rarity_are_ranks_and_so_the_same_in_any_unit(seed):
    rng = np.random.default_rng(seed)
    reference, scores = rng.normal(size=5000), rng.normal(size=300) * 2
    bands = rarity(reference)
    for score, level, rank in zip(scores, bands.levels(scores), bands.percentiles(scores), strict=True):
        below = 100 * (reference < score).mean()
        assert rank == pytest.approx(below)
        assert (level == 4) == (score > reference.max())
        assert level == sum(below > cut for cut in RARE[:3]) + (score > reference.max())
    other = rarity(np.exp(3 * reference))
    assert other.levels(np.exp(3 * scores)).tolist() == bands.levels(scores).tolist()


def test_no_score_has_no_band_of_rarity():
    bands = rarity([1.0, 1.0, 1.0])
    assert bands.levels([np.nan, 1.0, 2.0]).tolist() == [-1, 0, 4]
    assert bands.percentiles([np.nan, 1.0, 2.0]).tolist()[1:] == [0.0, 100.0]
    assert np.isnan(bands.percentiles([np.nan])).all()
    with pytest.raises(DataError, match="reference"):
        rarity([])

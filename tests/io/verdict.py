"""What may come of loading a file that somebody damaged or forged."""

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from whitecrow.core.errors import ModelFileError
from whitecrow.io import load

FUZZ = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


def refuses(path, match=None):
    """Check that a file is refused within a second of computing, by an error that names it."""
    start = time.process_time()
    with pytest.raises(ModelFileError, match=match) as caught:
        load(path)
    assert time.process_time() - start < 1
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1500


def refuses_or_scores_alike(path, rows, expected):
    """Check that a damaged file is refused, or that the damage was to nothing that matters."""
    try:
        found = load(path).anomaly_score(rows)
    except ModelFileError:
        return
    np.testing.assert_array_equal(found, expected)

"""Self-organising maps, against SciPy and the known shape of a sheet."""

import numpy as np
import torch
from scipy.spatial.distance import cdist

from whitecrow.nn import fit_map, map_coordinates

SIDE = 8


def sheet(n: int, seed: int) -> np.ndarray:
    """Return rows on a bent sheet in four columns."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-1, 1, (2, n))
    return np.column_stack([2 * u, 2 * v, u**2 - v**2, 0.3 * u * v])


def start(d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(SIDE**2, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def fitted(rows: np.ndarray, n_epochs: int = 20, seed: int = 0) -> np.ndarray:
    return fit_map(torch.from_numpy(rows), start(rows.shape[1], seed), n_epochs).numpy()


def test_the_map_covers_the_rows_and_keeps_neighbours_together() -> None:
    rows = sheet(1500, 0)
    for seed in range(3):
        distance = cdist(rows, fitted(rows, seed=seed))
        # One pass with a wide neighbourhood leaves all units near the centre.
        assert distance.min(1).mean() < 0.4 * cdist(rows, fitted(rows, 1, seed)).min(1).mean()
        # 64 units on a sheet of 4 x 4 are half a unit apart.
        assert distance.min(1).mean() < 0.35
        first, second = distance.argsort(1)[:, :2].T
        apart = np.maximum(np.abs(first // SIDE - second // SIDE), np.abs(first % SIDE - second % SIDE))
        assert (apart > 1).mean() < 0.2  # the topographic error


def test_a_pass_is_the_weighted_mean_of_the_batch_rule() -> None:
    """One unit's update, for the last, narrow neighbourhood, by our own reading of the rule."""
    rows = sheet(200, 0)
    before = fitted(rows, 1)
    place = np.stack(np.divmod(np.arange(SIDE**2), SIDE), 1)
    # geomspace(side / 2, 1 / 2, 2) has the neighbourhood of one pass first and 1 / 2 second.
    after = fitted(rows, 2)
    winner = cdist(rows, before).argmin(1)
    h = np.exp(-cdist(place, place[winner], "sqeuclidean") / (2 * 0.5**2))
    np.testing.assert_allclose(after, h @ rows / h.sum(1, keepdims=True), rtol=1e-8, atol=1e-10)


def test_the_map_does_not_depend_on_the_order_of_the_rows() -> None:
    rows = sheet(400, 0)
    order = np.random.default_rng(1).permutation(400)
    np.testing.assert_allclose(fitted(rows[order]), fitted(rows), rtol=1e-6, atol=1e-6)


def test_coordinates_are_those_of_the_nearest_unit_on_each_map() -> None:
    new = 2 * sheet(200, 1)
    maps = np.stack([fitted(sheet(300, 0), seed=seed) for seed in range(3)])
    ours = map_coordinates(torch.from_numpy(new), torch.from_numpy(maps)).numpy()
    for s, units in enumerate(maps):
        winner = cdist(new, units).argmin(1)
        expected = np.column_stack([winner // SIDE, winner % SIDE]) / (SIDE - 1)
        np.testing.assert_array_equal(ours[:, 2 * s : 2 * s + 2], expected)
    assert ours.min() == 0
    assert ours.max() == 1
    assert np.abs(maps[0] - maps[1]).max() > 0.1  # maps of their own


def test_stacked_replicas_have_their_own_maps() -> None:
    x, maps = torch.from_numpy(sheet(40, 1)), torch.stack([start(4, s) for s in range(6)]).reshape(3, 2, SIDE**2, 4)
    stacked = map_coordinates(x.expand(3, 40, 4), maps)
    torch.testing.assert_close(stacked, torch.stack([map_coordinates(x, own) for own in maps]))


def test_equal_rows_and_a_single_column_give_finite_maps() -> None:
    for rows in (np.ones((30, 3)), np.random.default_rng(0).normal(size=(50, 1)), np.eye(2)):
        assert np.isfinite(fitted(rows)).all()

"""Greedy k-centre selection against the plain algorithm and against optimal covers."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from whitecrow.nn.coreset import k_centres, sparse_projection


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def plain_k_centres(x, n):
    """Choose one row at a time, with all distances at hand."""
    x = x.astype(np.float64)
    chosen = [int(np.square(x - x.mean(0)).sum(1).argmin())]
    distance = cdist(x, x)
    while len(chosen) < n:
        chosen.append(int(distance[:, chosen].min(1).argmax()))
    return chosen


def radius(x, chosen):
    return cdist(x, x[np.asarray(chosen)]).min(1).max()


@pytest.mark.parametrize(("n", "d", "wanted"), [(40, 2, 40), (700, 3, 60), (1500, 20, 300)])
def test_choices_are_those_of_the_plain_algorithm(n, d, wanted):
    x = rows(n, d)
    assert k_centres(torch.from_numpy(x), wanted).tolist() == plain_k_centres(x, wanted)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_cover_is_within_twice_the_best(n):
    grid = np.stack(np.meshgrid(np.arange(4.0), np.arange(3.0)), -1).reshape(-1, 2).astype(np.float32)
    best = min(radius(grid, chosen) for chosen in combinations(range(len(grid)), n))
    assert radius(grid, k_centres(torch.from_numpy(grid), n)) <= 2 * best


def test_more_rows_contain_the_fewer_and_cover_no_worse():
    x = rows(900, 5)
    chosen = k_centres(torch.from_numpy(x), 400).tolist()
    for n in (1, 10, 100):
        assert k_centres(torch.from_numpy(x), n).tolist() == chosen[:n]
    assert np.all(np.diff([radius(x, chosen[:n]) for n in (1, 10, 100, 400)]) < 0)


def test_copies_are_chosen_once():
    x = np.repeat(rows(30, 4), 20, axis=0)
    chosen = k_centres(torch.from_numpy(x), 100)
    assert len(chosen) == 30
    assert len(np.unique(x[chosen.numpy()], axis=0)) == 30
    assert len(k_centres(torch.ones(50, 3), 10)) == 1


def test_distance_from_the_origin_does_not_matter():
    x = torch.from_numpy(rows(600, 4))
    assert torch.equal(k_centres(x, 50), k_centres(x + 100, 50))


def test_projection_keeps_squared_distances_on_average():
    x = torch.from_numpy(rows(40, 400))
    ratios = []
    for seed in range(20):
        y = x @ sparse_projection(400, 64, torch.Generator().manual_seed(seed))
        ratios.append((torch.pdist(y) / torch.pdist(x)).square())
    assert torch.stack(ratios).mean() == pytest.approx(1, abs=0.02)
    assert torch.stack(ratios).std() < 0.35
    entries = sparse_projection(400, 64, torch.Generator().manual_seed(0))
    assert (entries != 0).float().mean() == pytest.approx(1 / 20, abs=0.01)

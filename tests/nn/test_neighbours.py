"""The neighbour search is the exhaustive one in float64, copies counted."""

import gc
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from whitecrow.nn import neighbours
from whitecrow.nn.neighbours import distances, nearest, reference_rows, sampling, without_filling


def exhaustive(x: torch.Tensor, X: torch.Tensor, k: int) -> np.ndarray:
    """Return the k smallest distances of each row to all training rows, copies and all."""
    return np.sort(cdist(x.double().numpy(), X.double().numpy()), axis=1)[:, :k]


def search(x: torch.Tensor, X: torch.Tensor, k: int) -> tuple[np.ndarray, torch.Tensor]:
    rows, counts, _ = reference_rows(X, None, 1, 0)
    index = nearest(x, rows, counts, k)
    return distances(x, rows, index).numpy(), index


def draw(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(dtype)


def clouds() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return queries and training rows of kinds that break the expanded square or the choice of candidates."""
    tight = draw(2, 400, 5, dtype=torch.float64)
    return {
        "normal": (draw(0, 300, 7), draw(1, 700, 7)),
        "one column": (draw(0, 50, 1), draw(1, 300, 1)),
        "wide": (draw(0, 40, 300), draw(1, 200, 300)),
        "far from the origin": (draw(0, 100, 6) + 1e6, draw(1, 500, 6) + 1e6),
        "two clusters far apart": (draw(0, 100, 4), torch.cat([draw(1, 250, 4) + 1e7, draw(2, 250, 4) - 1e7])),
        "near copies": (1 + 1e-9 * tight[:100], 1 + 1e-9 * tight[100:]),
        "near copies beside a far row": (
            1e3 + 1e-9 * tight[:100],
            torch.cat([1e3 + 1e-9 * tight[100:], torch.full((1, 5), -1e9, dtype=torch.float64)]),
        ),
        "lattice": (draw(0, 100, 3).round(), draw(1, 2000, 3).round()),
        "zeros and ones": (draw(0, 100, 14).sign().relu(), draw(1, 3000, 14).sign().relu()),
        "columns of unequal scale": (draw(0, 90, 3) * torch.tensor([1e-6, 1, 1e9]), draw(1, 400, 3)),
    }


@pytest.mark.parametrize("k", [1, 5, 60])
@pytest.mark.parametrize("kind", clouds())
def test_distances_are_those_of_an_exhaustive_search(kind: str, k: int) -> None:
    x, X = clouds()[kind]
    found, _ = search(x, X, k)
    np.testing.assert_allclose(found, exhaustive(x, X, k), rtol=1e-12, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 80),
    d=st.integers(1, 5),
    decimals=st.integers(0, 8),
    offset=st.sampled_from([0.0, -3.0, 1e5]),
    data=st.data(),
)
def test_any_cloud_with_copies_is_searched_exactly(
    seed: int, n: int, d: int, decimals: int, offset: float, data: st.DataObject
) -> None:
    X = torch.from_numpy(np.round(np.random.default_rng(seed).normal(size=(n, d)), decimals) + offset)
    k = data.draw(st.integers(1, n))
    found, index = search(X, X, k)
    np.testing.assert_allclose(found, exhaustive(X, X, k), rtol=1e-12, atol=0)
    assert (np.diff(found, axis=1) >= 0).all()
    assert index.shape == (n, k)


@pytest.mark.parametrize("kind", clouds())
def test_sizes_of_blocks_and_the_number_of_candidates_change_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, X = clouds()[kind]
    _, whole = search(x, X, 9)
    monkeypatch.setattr(neighbours, "_BLOCK_ROWS", 211)
    monkeypatch.setattr(neighbours, "_QUERY_ROWS", 61)
    monkeypatch.setattr(neighbours, "_BLOCK_NUMBERS", 5000)
    monkeypatch.setattr(neighbours, "_SPARE", 0)
    _, blocks = search(x, X, 9)
    assert torch.equal(whole, blocks)


def test_equal_distances_are_ordered_by_index() -> None:
    rows = torch.tensor([[-1.0], [1.0], [3.0], [5.0]])
    index = nearest(torch.tensor([[2.0]]), rows, torch.ones(4, dtype=torch.int64), 4)
    assert index.tolist() == [[1, 2, 0, 3]]


def test_row_with_ten_copies_is_ten_neighbours() -> None:
    X = torch.cat([torch.zeros(10, 2), torch.ones(3, 2)])
    found, index = search(torch.zeros(1, 2), X, 12)
    np.testing.assert_allclose(found[0], [0] * 10 + [2**0.5] * 2)
    assert index[0].tolist() == [0] * 10 + [1] * 2


def test_neighbours_do_not_depend_on_the_other_rows() -> None:
    x, X = clouds()["lattice"]
    _, together = search(x, X, 7)
    alone = torch.cat([search(row, X, 7)[1] for row in x.split(1)])
    assert torch.equal(together, alone)


def test_rows_that_fill_a_block_up_change_nothing() -> None:
    x, X = clouds()["lattice"]
    rows, counts, _ = reference_rows(X, None, 1, 0)
    filled = torch.cat([x[:3], torch.zeros(300, 3), x[3:5], torch.zeros(100, 3)])
    assert torch.equal(nearest(filled, rows, counts, 7)[[0, 1, 2, 303, 304]], nearest(x[:5], rows, counts, 7))
    assert torch.equal(nearest(filled, rows, counts, 7)[[3, 404]], nearest(torch.zeros(2, 3), rows, counts, 7))


@pytest.mark.parametrize("values", [[1, 2, 3], [1, 0, 2, 0, 0], [0, 0, 0], [2], []])
def test_rows_without_filling_are_found_again_at_their_places(values: list[int]) -> None:
    x = torch.tensor(values, dtype=torch.float32).reshape(-1, 1).expand(-1, 3)
    rows, place = without_filling(x)
    assert torch.equal(rows[place], x)
    assert len(rows) == sum(value != values[-1] for value in values) + bool(values)


def test_a_reference_that_is_written_to_is_searched_as_it_stands() -> None:
    x, X = clouds()["normal"]
    rows, counts, _ = reference_rows(X, None, 1, 0)
    before = nearest(x, rows, counts, 4)
    stacked = torch.stack([rows, rows])
    view = stacked[0]
    assert torch.equal(nearest(x, view, counts, 4), before)
    stacked[0] = rows.flip(0)  # through the tensor that it is a view of
    assert torch.equal(nearest(x, view, counts, 4), len(rows) - 1 - before)
    view.data = rows.clone()
    assert torch.equal(nearest(x, view, counts, 4), before)
    with torch.inference_mode():
        uncounted = rows.clone()
        assert torch.equal(nearest(x, uncounted, counts, 4), before)
        uncounted.copy_(rows.flip(0))
        assert torch.equal(nearest(x, uncounted, counts, 4), len(rows) - 1 - before)


def test_the_index_of_a_reference_is_made_once_and_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x, X = clouds()["normal"]
    rows, counts, _ = reference_rows(X, None, 1, 0)
    made = []
    monkeypatch.setattr(neighbours, "_Index", lambda rows, make=neighbours._Index: made.append(1) or make(rows))
    for row in x.split(20):
        nearest(row, rows, counts, 3)
    assert len(made) == 1
    known = len(neighbours._INDEXES)
    del rows
    gc.collect()
    assert len(neighbours._INDEXES) == known - 1


@pytest.mark.parametrize("kind", clouds())
def test_an_index_too_large_to_keep_finds_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, X = clouds()[kind]
    _, kept = search(x, X, 9)
    monkeypatch.setattr(neighbours, "_KEPT_NUMBERS", 0)
    _, again = search(x, X, 9)
    assert torch.equal(kept, again)


def test_a_row_that_is_not_finite_ends_the_search() -> None:
    rows = torch.arange(100.0).unsqueeze(1)
    x = torch.tensor([[math.nan], [math.inf], [3.2]])
    index = nearest(x, rows, torch.ones(100, dtype=torch.int64), 2)
    assert index[2].tolist() == [3, 4]
    assert not distances(x, rows, index)[:2].isfinite().any()


def test_no_rows_have_no_neighbours() -> None:
    found, index = search(torch.empty(0, 3), draw(0, 20, 3), 4)
    assert found.shape == (0, 4)
    assert index.shape == (0, 4)


def test_gradient_of_the_distance_is_the_unit_vector_and_zero_on_a_training_row() -> None:
    rows = torch.tensor([[0.0, 0.0], [9.0, 9.0]])
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    index = nearest(x, rows, torch.ones(2, dtype=torch.int64), 1)
    distances(x, rows, index).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


# ---- the reference ---------------------------------------------------------------------------------------------------


def test_distinct_rows_and_counts_are_numpys() -> None:
    X = draw(0, 500, 3).round()
    rows, counts, n_distinct = reference_rows(X, None, 1, 0)
    expected, expected_counts = np.unique(X.numpy(), axis=0, return_counts=True)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(counts, expected_counts)
    assert int(n_distinct) == len(expected)


def test_minus_zero_is_zero() -> None:
    rows, counts, _ = reference_rows(torch.tensor([[0.0], [-0.0]]), None, 1, 0)
    assert rows.tolist() == [[0.0]]
    assert counts.tolist() == [2]


@pytest.mark.parametrize("limit", [None, 100])
def test_order_of_the_training_rows_leaves_no_trace(limit: int | None) -> None:
    X = draw(0, 2000, 2).mul(10).round()
    first = reference_rows(X, limit, 80, 3)
    second = reference_rows(X.flip(0), limit, 80, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_sample_has_the_size_asked_for_and_another_seed_draws_another() -> None:
    X = draw(0, 3000, 2)
    first, again, other = (reference_rows(X, 1000, 400, seed) for seed in (0, 0, 1))
    assert len(first.rows) == 400
    assert int(first.n_distinct) == 3000
    assert torch.equal(first.rows, again.rows)
    assert not torch.equal(first.rows, other.rows)
    assert not torch.isin(first.rows, X, invert=True).any()


def test_sample_is_no_larger_than_the_limit() -> None:
    assert len(reference_rows(draw(0, 50, 2), 10, 40, 0).rows) == 10


def test_sample_keeps_the_shares_of_copies() -> None:
    X = torch.cat([torch.full((6000, 1), 7.0), torch.arange(4000.0).reshape(-1, 1) + 10])
    rows, counts, _ = reference_rows(X, 1000, 1000, 0)
    share = float(counts[rows[:, 0] == 7].sum()) / int(counts.sum())
    assert share == pytest.approx(0.6, abs=0.04)


def test_sampling_is_said_in_words() -> None:
    assert sampling(30, 30) == "exact"
    assert sampling(5000, 35058) == "random sample of 5,000 of the 35,058 distinct training rows"

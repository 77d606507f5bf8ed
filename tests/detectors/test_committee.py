"""The committee: members on one scale, which no row of a test has a part in."""

from pathlib import Path

import numpy as np
import pytest

import whitecrow as wc
from whitecrow.core.errors import ParameterError

MEMBERS = ("knn", "pca(n_components=2)", "autoencoder(epochs=2, hidden_dims=4)")


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(400, 5)) @ np.random.default_rng(1).normal(size=(5, 5))


@pytest.fixture(scope="module")
def committee(rows: np.ndarray) -> wc.Committee:
    return wc.Committee(members=MEMBERS, regime="clean", random_state=0).fit(rows)


def test_score_is_the_weighted_mean_of_the_members_rarities(rows: np.ndarray) -> None:
    detector = wc.Committee(members=("knn", "pca"), weights=(3, 1), regime="clean", random_state=0).fit(rows)
    rarities = detector.member_scores(rows[:20] * 2)
    assert detector.anomaly_score(rows[:20] * 2) == pytest.approx(rarities @ [0.75, 0.25])


@pytest.mark.parametrize(("power", "expected"), [(2.0, lambda u: np.sqrt((u**2).mean(1))), (None, lambda u: u.max(1))])
def test_power_leans_to_the_largest(rows: np.ndarray, power: float | None, expected: object) -> None:
    detector = wc.Committee(members=("knn", "pca"), power=power, random_state=0).fit(rows)
    u = detector.member_scores(rows * 3)
    assert detector.anomaly_score(rows * 3) == pytest.approx(expected(u))


def test_rarities_of_new_normal_rows_are_exponential(committee: wc.Committee) -> None:
    new = np.random.default_rng(5).normal(size=(4000, 5)) @ np.random.default_rng(1).normal(size=(5, 5))
    # -log of a uniform share: P(u >= t) = exp(-t), for each member, although none was fitted on these rows.
    for column in committee.member_scores(new).T:
        for t in (0.7, 1.6, 2.3):
            assert (column >= t).mean() == pytest.approx(np.exp(-t), abs=0.05)


def test_member_learns_what_it_would_learn_alone(committee: wc.Committee, rows: np.ndarray) -> None:
    alone = wc.PCA(n_components=2, clip=10.0, calibration=0, regime="clean", random_state=0).fit(rows)
    order = np.argsort(alone.anomaly_score(rows * 1.5))
    assert (np.diff(committee.member_scores(rows * 1.5)[order, 1]) >= -1e-9).all()


def test_all_rows_train_and_those_that_calibrate_were_not_seen(rows: np.ndarray) -> None:
    detector = wc.Committee(members=("knn(n_neighbours=1)",), regime="clean", random_state=0).fit(rows)
    assert detector.summary_["rows_trained_on"] == len(rows)
    assert len(detector.calibration_scores_) == 320
    # A row that trained is at distance 0 from itself; scored by a fit without it, it is not.
    assert detector.anomaly_score(rows).max() <= detector.calibration_scores_.min()
    assert detector.calibration_scores_.std() > 0.5


def test_member_that_learns_from_labels_is_given_them(rows: np.ndarray) -> None:
    odd = np.random.default_rng(2).normal(size=(30, 5)) + 4
    given, y = np.concatenate([rows, odd]), np.repeat([0, 1], [400, 30])
    taught = wc.Committee(members=("classifier(epochs=30)",), regime="labelled", random_state=0).fit(given, y)
    new = np.random.default_rng(3).normal(size=(100, 5)) + 4
    assert taught.is_anomaly(new).mean() > 0.9


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ((), "0 members"),
        (("knm",), "knn"),
        (("knn(n_neighbour=3)",), "n_neighbours"),
        (("knn(n_neighbours=0)",), "at least 1"),
        (("knn n_neighbours=3",), "accepted is a registry name"),
        (("knn(scaling=minmax)",), "the committee's own"),
        (("committee",), "detector of tables"),
        (("patch-memory",), "detector of tables"),
        (("devnet",), "labelled"),
    ],
)
def test_unusable_members_are_refused_before_training(members: tuple[str, ...], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        wc.Committee(members=members, random_state=0).fit(np.full((2, 2), "text"))


def test_weights_are_one_for_each_member(rows: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="a weight for each"):
        wc.Committee(members=("knn", "pca"), weights=(1,), random_state=0).fit(rows)


def test_model_file_brings_the_members(committee: wc.Committee, rows: np.ndarray, tmp_path: Path) -> None:
    committee.save(tmp_path / "committee.safetensors")
    loaded = wc.load(tmp_path / "committee.safetensors")
    assert (loaded.member_scores(rows) == committee.member_scores(rows)).all()
    assert [type(m) for m in loaded.members_.values()] == [type(m) for m in committee.members_.values()]


def test_twelve_members_keep_their_order_in_a_file(rows: np.ndarray, tmp_path: Path) -> None:
    members = tuple(f"knn(n_neighbours={k})" for k in range(1, 13))
    detector = wc.Committee(members=members, weights=tuple(range(1, 13)), random_state=0, n_folds=2).fit(rows[:60])
    detector.save(tmp_path / "c.safetensors")
    loaded = wc.load(tmp_path / "c.safetensors")
    assert [m.n_neighbours for m in loaded.members_.values()] == list(range(1, 13))
    assert (loaded.anomaly_score(rows) == detector.anomaly_score(rows)).all()

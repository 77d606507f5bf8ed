"""The synthetic traffic: exact counts, honest windows, no column that gives the attacks away."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from whitecrow.core.errors import ParameterError
from whitecrow.data.traffic import KINDS, simulate_traffic, traffic_table


@pytest.fixture(scope="module")
def data():
    return simulate_traffic(seed=0)


def numbers(table):
    return table.select(pl.selectors.numeric()).to_numpy().astype(float)


def best_threshold_auroc(column, positive):
    """The better direction for numbers; for categories, the share of positives in each level."""
    if isinstance(column.dtype, pl.Enum):
        codes = column.to_physical().to_numpy()
        values = (np.bincount(codes, weights=positive) / np.maximum(np.bincount(codes), 1))[codes]
    else:
        values = column.to_physical().to_numpy()
    auroc = roc_auc_score(positive, values)
    return max(auroc, 1 - auroc)


def test_same_seed_gives_the_same_table_bit_for_bit_and_another_seed_another():
    one, again, other = (traffic_table(3000, 0.05, seed) for seed in (4, 4, 5))
    assert one.equals(again)
    assert not one.equals(other)


@pytest.mark.parametrize(("rows", "rate"), [(1, 0.0), (1, 0.5), (2, 0.5), (7, 0.3), (1000, 0.013), (999, 0.5)])
def test_the_number_of_rows_and_of_attacks_is_exact(rows, rate):
    data = simulate_traffic(rows, rate, seed=1)
    assert data.X.height == len(data.y) == len(data.families) == rows
    assert data.y.sum() == (data.families != "normal").sum() == round(rows * rate)


def test_no_attack_rate_means_no_attacks():
    assert set(simulate_traffic(500, 0.0).families) == {"normal"}


def test_every_kind_of_attack_occurs_in_both_halves(data):
    half = len(data.y) // 2
    assert len(KINDS) >= 6
    assert set(data.families[:half]) == set(data.families[half:]) == {"normal", *KINDS}


@pytest.mark.parametrize(
    "arguments",
    [
        {"rows": 0},
        {"rows": -5},
        {"rows": 10.5},
        {"attack_rate": -0.1},
        {"attack_rate": 1.0},
        {"attack_rate": float("nan")},
        {"seed": -1},
        {"days": 0},
        {"start": "2024-03-04"},
    ],
)
def test_arguments_out_of_range_are_refused_by_name(arguments):
    with pytest.raises(ParameterError, match=next(iter(arguments))):
        simulate_traffic(**arguments)


def test_rows_are_in_the_order_of_time_within_the_days_asked_for():
    start = datetime(2025, 1, 6)
    table = traffic_table(2000, seed=2, days=3, start=start)
    times = table["timestamp"]
    assert times.is_sorted()
    assert start <= times.min() <= times.max() <= start + timedelta(days=3)
    assert (table["hour"] == times.dt.hour()).all()


def test_the_label_is_the_only_column_besides_the_features(data):
    table = traffic_table(seed=0)
    assert table.columns == [*data.X.columns, "label"]
    assert table["label"].to_list() == data.families.tolist()
    assert table.null_count().sum_horizontal().item() == 0


def test_nights_and_weekends_are_quiet():
    table = traffic_table(20_000, attack_rate=0.0, seed=3)
    by_hour = table["hour"].value_counts().sort("hour")["count"].to_numpy()
    assert by_hour[9:17].mean() > 3 * by_hour[1:5].mean()
    by_day = table["timestamp"].dt.weekday().value_counts().sort("timestamp")["count"].to_numpy()
    assert by_day[:5].min() > 1.3 * by_day[5:].max()


def test_volumes_have_heavy_tails_and_hang_together(data):
    volume = data.X["bytes_in"].to_numpy() + data.X["bytes_out"].to_numpy()
    assert volume.mean() > 10 * np.median(volume)
    carried = data.X.filter((pl.col("bytes_out") > 0) & (pl.col("bytes_in") > 0) & (pl.col("service") == "https"))
    logs = np.log1p(carried.select("duration", "bytes_out", "bytes_in", "packets_out", "packets_in").to_numpy())
    assert np.corrcoef(logs.T).min() > 0.2


def test_refused_and_unanswered_connections_carry_nothing(data):
    silent = data.X.filter(pl.col("flag").is_in(["REJ", "S0"]))
    assert silent.height > 100
    assert silent["bytes_in"].max() == silent["bytes_out"].max() == 0
    assert data.X.filter(pl.col("flag") == "S0")["packets_in"].max() == 0


def test_windows_agree_with_a_plain_loop_over_the_stream():
    table = traffic_table(1500, 0.1, seed=6, days=1)
    time = table["timestamp"].dt.epoch("ms").to_numpy() / 1e3
    column = {name: table[name].to_list() for name in table.columns}
    for i in range(0, 1500, 7):
        source = [j for j in range(i + 1) if column["source"][j] == column["source"][i]]
        pair = [j for j in source if column["destination"][j] == column["destination"][i]]
        target = [j for j in range(i + 1) if column["destination"][j] == column["destination"][i]]
        recent = [j for j in source if time[j] > time[i] - 600]
        assert column["source_count_10min"][i] == len(recent)
        assert column["source_bytes_out_10min"][i] == sum(column["bytes_out"][j] for j in recent)
        assert column["source_distinct_hosts"][i] == len({column["destination"][j] for j in source[-20:]})
        failed = [column["flag"][j] != "SF" for j in source[-20:]]
        assert column["source_failed_share"][i] == pytest.approx(np.mean(failed))
        same = [column["service"][j] == column["service"][i] for j in source[-20:]]
        assert column["source_same_service_share"][i] == pytest.approx(np.mean(same))
        assert column["destination_count_100"][i] == sum(j > i - 100 for j in target)
        assert column["destination_distinct_sources"][i] == len({column["source"][j] for j in target[-20:]})
        gap = time[i] - time[pair[-2]] if len(pair) > 1 else 86_400
        assert column["pair_gap"][i] == pytest.approx(gap, abs=2e-3)
        rate = 120 / max(time[i] - time[pair[-3]], 1) if len(pair) > 2 else 0
        assert column["pair_rate"][i] == pytest.approx(rate, abs=0.3)


def test_the_first_connection_of_a_source_has_nothing_behind_it():
    table = simulate_traffic(2000, 0.1, seed=8).X
    first = table.group_by("source", maintain_order=True).first()
    assert first.height > 20
    assert (first["source_count_10min"] == 1).all()
    assert (first["source_distinct_hosts"] == 1).all()
    assert (first["pair_gap"] == 86_400).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_single_column_separates_most_kinds(seed):
    data = simulate_traffic(seed=seed)
    hard = 0
    for kind in KINDS:
        rows = (data.families == "normal") | (data.families == kind)
        positive = (data.families[rows] == kind).astype(float)
        columns = data.X.filter(pl.Series(rows))
        hard += max(best_threshold_auroc(column, positive) for column in columns) < 0.8
    assert hard >= len(KINDS) / 2


@pytest.mark.parametrize("seed", [0, 1])
def test_all_columns_together_find_the_attacks(seed):
    data = simulate_traffic(seed=seed)
    half = len(data.y) // 2
    onehot = data.X.select(pl.selectors.enum()).to_dummies().to_numpy().astype(float)
    values = numbers(data.X)
    train = np.flatnonzero(data.y[:half] == 0)
    scaled = np.clip(StandardScaler().fit(values[train]).transform(values), -10, 10)
    X = np.hstack([scaled, onehot])
    pca = PCA(20, random_state=0).fit(X[train])
    residual = np.square(X[half:] - pca.inverse_transform(pca.transform(X[half:]))).sum(1)
    assert 0.8 < roc_auc_score(data.y[half:], residual) < 0.97


def test_it_says_that_it_is_synthetic(data):
    assert "SYNTHETIC" in data.description
    assert "SYNTHETIC" in simulate_traffic.__doc__
    assert "SYNTHETIC" in traffic_table.__doc__

"""The memory of patches: what it describes, what it keeps, and what its losses move."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from whitecrow import PatchMemory
from whitecrow.core.errors import ModelFileError
from whitecrow.data.series import window_view
from whitecrow.data.series.files import read_tsb_ad
from whitecrow.metrics.series import vus
from whitecrow.train import Batch, Replicas

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[3] / "shared" / "data")) / "timeseries"
SMALL = {"channels": (8, 16, 16, 12), "window": 16, "random_state": 0}


def wave(n: int, seed: int = 0) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(n) / 20) + 0.1 * np.random.default_rng(seed).normal(size=n)


def described(det: PatchMemory, series: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return det._described(det.replicas_.replica(0), torch.from_numpy(det.encoder_.transform(series))).numpy()


def test_the_score_is_the_mean_cosine_distance_to_the_nearest_in_the_memory():
    det = PatchMemory(fold="last", calibration=0, **SMALL).fit(wave(200))
    expected = np.sort(cdist(described(det, wave(80, 1)), described(det, wave(200)), "cosine"), axis=1)[:, :3].mean(1)
    np.testing.assert_allclose(det.anomaly_score(wave(80, 1))[15:], expected, atol=1e-6)


def test_a_training_patch_is_at_distance_0():
    det = PatchMemory(n_neighbours=1, calibration=0, **SMALL).fit(wave(200))
    np.testing.assert_allclose(det.anomaly_score(wave(200)), 0, atol=1e-6)


def test_the_threshold_comes_from_patches_that_do_not_overlap():
    det = PatchMemory(fold="last", calibration=0, **SMALL).fit(wave(200))
    pairs = cdist(*2 * [described(det, wave(200))], "cosine")
    places = np.arange(len(pairs))
    pairs[np.abs(places[:, None] - places) < 16] = 1
    expected = np.sort(pairs, axis=1)[:, :3].mean(1)
    expected = np.concatenate([np.full(15, expected[0]), expected])
    np.testing.assert_allclose(det.fit_scores_, np.sort(expected), atol=1e-6)


def test_level_and_amplitude_count_only_without_the_normalisation():
    changed = wave(90, 1) * 3 + 5
    same, other = (PatchMemory(revin=r, clip=None, **SMALL).fit(wave(200)) for r in (True, False))
    np.testing.assert_allclose(same.anomaly_score(changed), same.anomaly_score(wave(90, 1)), atol=1e-4)
    assert other.anomaly_score(changed).mean() > 3 * other.anomaly_score(wave(90, 1)).mean()


def test_the_statistics_are_those_of_the_training_patches():
    det = PatchMemory(calibration=0, revin=False, **SMALL).fit(wave(200))
    net = det.replicas_.replica(0)
    x = torch.from_numpy(det.encoder_.transform(wave(200)))[:, None]
    with torch.no_grad():
        first = net.encoder.layers[0](x)
    torch.testing.assert_close(net.encoder.layers[1].running_mean, first.mean((0, 2)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net.encoder.layers[1].running_var, first.var((0, 2)), rtol=1e-4, atol=1e-5)


def test_without_training_the_weights_are_those_that_were_drawn():
    det = PatchMemory(**SMALL).fit(wave(200))
    drawn = Replicas.build(det.networks, det.spec_, det.replica_seeds_, "loop")
    weights = [name for name in drawn.stacked if name.endswith("layers.0.weight")]
    assert weights
    assert all(torch.equal(det.replicas_.stacked[name], drawn.stacked[name]) for name in weights)
    assert not drawn.trainable
    assert (det.history_, det.n_epochs_) == ({}, [0])


def test_the_triplet_loss_begins_above_0_and_moves_the_network():
    det = PatchMemory(train="triplet", epochs=1, **SMALL).fit(wave(200))
    net = Replicas.build(det.networks, det.spec_, [0], "direct").replica(0)
    batch = Batch(torch.from_numpy(det.encoder_.transform(wave(200))[::5]))
    net.train()
    for loss, heads in ((det.triplet_loss, net.projection), (det.pretext_loss, net.classifier)):
        value = loss(net, batch)
        assert value > 0.01
        slopes = torch.autograd.grad(value, [*net.encoder.parameters(), *heads.parameters()])
        assert all(slope.abs().sum() > 0 for slope in slopes[:-1])


def test_the_triplet_is_the_hinge_of_two_cosine_distances():
    det = PatchMemory(train="triplet", epochs=1, **SMALL).fit(wave(200))
    net = det.replicas_.replica(0)
    x = torch.from_numpy(det.encoder_.transform(wave(60, 3))[::9])
    with torch.no_grad():
        found = det._triplet(net, x).numpy()
        anchor, positive = (net.projection(det._encoded(net, part[:, None])).numpy() for part in (x[:, :-2], x[:, 2:]))
    near = np.diag(cdist(anchor, positive, "cosine"))
    apart = np.diag(cdist(anchor, np.roll(positive, 1, axis=0), "cosine"))
    np.testing.assert_allclose(found, np.maximum(near - apart + 0.5, 0), atol=1e-5)


def test_both_losses_fall_by_half():
    # A tone that rises: halves and shifts of one patch have its pitch, another patch has its own.
    tone = np.sin(np.arange(400) ** 1.3 / 15)
    small = {"channels": (8, 12, 12, 12), "window": 24, "batch_size": 32, "lr": 1e-2, "random_state": 0}
    det = PatchMemory(train="triplet", pretext_epochs=24, epochs=1, **small).fit(tone)
    for name in ("pretext_loss", "triplet_loss"):
        losses = det.history_[f"pretext.{name}"]
        assert losses[-1][0] < 0.5 * losses[0][0]


def test_of_many_training_patches_evenly_spaced_ones_are_kept():
    det = PatchMemory(max_bank=7, calibration=0, **SMALL).fit(wave(200))
    kept = described(det, wave(200))[np.linspace(0, 184, 7).astype(int)]
    np.testing.assert_allclose(det.replicas_.replica(0).memory.bank.numpy(), kept, atol=1e-6)


def test_channels_are_normalised_each_by_itself():
    both = np.stack([wave(200), wave(200, 5)], -1)
    det = PatchMemory(calibration=0, **SMALL).fit(both)
    patches = torch.from_numpy(window_view(both.astype(np.float32), 16).copy()).mT
    net = det.replicas_.replica(0)
    seen = []
    handle = net.encoder.register_forward_pre_hook(lambda module, x: seen.append(x[0]))
    det._encoded(net, patches)
    handle.remove()
    torch.testing.assert_close(seen[0].mean(-1), torch.zeros(len(patches), 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0].var(-1, correction=0), torch.ones(len(patches), 2), atol=1e-3, rtol=0)


def test_a_memory_of_another_width_is_refused():
    det = PatchMemory(**SMALL).fit(wave(200))
    net = det.replicas_.replica(0)
    net.memory.bank = net.memory.bank[:, :5]
    with pytest.raises(ModelFileError, match="bank"):
        det.check_buffers(net)


def test_it_beats_the_best_released_figure_of_tsb_ad():
    """The training part is learnt, the whole series scored; the best figure that was released is .574."""
    path = DATA / "tsb_ad_u_001_NAB_id_1_Facility_tr_1007_1st_2014.csv.gz"
    if not path.is_file():
        pytest.skip("the TSB-AD series are absent: set WHITECROW_DATA")
    data = read_tsb_ad([path])
    det = PatchMemory(regime="clean", random_state=0).fit(data.X[: data.train_end])
    assert vus(data.y, det.anomaly_score(data.X), 6).pr > 0.574

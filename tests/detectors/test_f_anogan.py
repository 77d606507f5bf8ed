"""Properties of f-AnoGAN, against NumPy and the paper's losses written out one by one."""

import numpy as np
import pytest
import torch
from bar_images import BRIEF, bars, encoded, network, turned

from whitecrow.detectors.image.f_anogan import FAnoGAN
from whitecrow.train import Batch

IMAGES = bars(120)


@pytest.fixture(scope="module")
def fitted() -> FAnoGAN:
    return FAnoGAN(**{**BRIEF, "epochs": 4}, channels=(8, 16)).fit(IMAGES)


def squares(net: torch.nn.Module, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return A_R and A_D of the rows by our own reading of the paper."""
    with torch.no_grad():
        rebuilt = net.generator(net.encoder(x))
        features = net.f(x) - net.f(rebuilt)
    return (x - rebuilt).square().mean(1).numpy(), features.square().mean(1).numpy()


@pytest.mark.parametrize("kappa", [0.0, 1.0, 3.0])
def test_the_score_adds_both_parts_in_units_of_their_mean_over_the_training_images(fitted, kappa):
    net = network(fitted)
    train, x = encoded(fitted, IMAGES), encoded(fitted, np.concatenate([IMAGES[:20], turned(20)]))
    usual, here = squares(net, train), squares(net, x)
    try:
        scores = fitted.set_params(feature_weight=kappa)._score(x.numpy())[0]
    finally:
        fitted.set_params(feature_weight=1.0)
    np.testing.assert_allclose(scores, here[0] / usual[0].mean() + kappa * here[1] / usual[1].mean(), rtol=1e-3)


def test_the_critic_and_the_generator_play_for_the_distance_of_wasserstein(fitted):
    net, x = network(fitted), encoded(fitted, IMAGES[:12])
    z, share = net.noise.draw(12, 8), net.shares.draw(12, 1)

    def critic(rows: torch.Tensor) -> torch.Tensor:
        return net.critic(net.f(rows)).squeeze(-1)

    with torch.no_grad():
        made = net.generator(z)
        gap = critic(made) - critic(x)
    between = (share * made + (1 - share) * x).requires_grad_(True)
    lengths = torch.stack([torch.autograd.grad(critic(row[None]).sum(), row)[0].norm() for row in between])
    fitted.replicas_.seek_noise(0)
    expected = (gap + 10 * (lengths - 1).square()).mean().item()
    assert fitted.err_d(net, Batch(x)).item() == pytest.approx(expected, rel=1e-4)
    fitted.replicas_.seek_noise(0)
    assert fitted.err_g(net, Batch(x)).item() == pytest.approx(-critic(made).mean().item(), rel=1e-5)


def test_the_encoder_has_the_three_losses_of_the_paper(fitted):
    net, x = network(fitted), encoded(fitted, IMAGES[:30])
    image, features = squares(net, x)
    with torch.no_grad():
        z = net.noise.draw(30, 8)
        ziz = (z - net.encoder(net.generator(z))).square().mean().item()
    expected = {"izi": image.mean(), "izi_f": (image + features).mean(), "ziz": ziz}
    for encoder_loss, value in expected.items():
        fitted.replicas_.seek_noise(0)
        loss = fitted.set_params(encoder_loss=encoder_loss).err_e(net, Batch(x)).item()
        assert loss == pytest.approx(value, rel=1e-4)
    fitted.set_params(encoder_loss="izi_f")


def test_images_that_the_generator_makes_come_back_nearer_than_real_ones():
    det = FAnoGAN(**{**BRIEF, "epochs": 10}, channels=(4, 8), encoder_output="linear").fit(IMAGES)
    net = network(det)
    z = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made, real = net.generator(z), encoded(det, bars(200, seed=1))
        errors = [(x - net.generator(net.encoder(x))).square().mean() for x in (made, real)]
    assert errors[0] < errors[1]


def test_codes_are_bounded_where_asked_for(fitted):
    x = encoded(fitted, turned(50))
    assert network(fitted).encoder(x).abs().max() < 1
    linear = FAnoGAN(**{**BRIEF, "epochs": 1}, channels=(8, 16), encoder_output="linear").fit(IMAGES)
    network(linear).encoder[-1].weight.data.mul_(100)
    assert network(linear).encoder(x).abs().max() > 1


def test_no_network_behaves_otherwise_in_training(fitted):
    """Nothing moves while the encoder trains, because nothing in the frozen networks can."""
    net, x = network(fitted), encoded(fitted, IMAGES[:20])
    quiet = fitted.err_e(net, Batch(x)).item()
    assert fitted.err_e(net.train(), Batch(x)).item() == quiet
    net.eval()
    noise = {f"{name}.{buffer}" for name in ("noise", "shares") for buffer in ("key", "pool")}
    assert {name for name, _ in net.named_buffers()} == {"means", *noise}


def test_what_the_game_does_is_recorded(fitted):
    diversity, accuracy = (np.ravel(fitted.history_[f"gan.{name}"]) for name in ("diversity", "accuracy"))
    assert (diversity > 0).all()
    assert ((accuracy >= 0) & (accuracy <= 1)).all()

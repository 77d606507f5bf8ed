"""Properties of the GAN with an encoder beside it, against SciPy and the losses written out one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from bar_images import BRIEF, bars, encoded, network, turned

from whitecrow.detectors.image.encoder_gan import EncoderGAN
from whitecrow.train import Batch

IMAGES = bars(120)


@pytest.fixture(scope="module")
def fitted() -> EncoderGAN:
    return EncoderGAN(**{**BRIEF, "epochs": 3}, channels=(8, 16)).fit(IMAGES)


def generate(net: torch.nn.Module, z: torch.Tensor) -> torch.Tensor:
    return net.generator(torch.nn.functional.normalize(z, dim=1) * z.shape[1] ** 0.5)


def components(net: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    """Return R, F and N of the rows, [n, 3], by our own reading of the paper."""
    with torch.no_grad():
        code = net.encoder(x)
        rebuilt = generate(net, code)
        features = net.f(x) - net.f(rebuilt)
    return torch.stack([(x - rebuilt).abs().mean(1), features.abs().mean(1), code.norm(dim=1)], 1).numpy()


def test_only_the_direction_of_a_code_reaches_the_generator(fitted):
    net = network(fitted)
    z = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    images = fitted._generate(net, z)
    for length in (0.1, 3.0, 1000.0):
        torch.testing.assert_close(fitted._generate(net, length * z), images, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(images, generate(net, z), rtol=1e-4, atol=1e-5)


def test_no_loss_says_how_long_a_code_is(fitted):
    """The slope of the cycle by a code stands at a right angle to it."""
    net, x = network(fitted), encoded(fitted, IMAGES[:30])
    code = net.encoder(x).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad((x - fitted._generate(net, code)).abs().sum(), code)
    cosines = torch.nn.functional.cosine_similarity(slope, code, dim=1)
    torch.testing.assert_close(cosines, torch.zeros(30), rtol=0, atol=1e-4)


def test_scores_are_components_in_units_of_their_median_distance(fitted):
    net = network(fitted)
    usual = components(net, encoded(fitted, IMAGES))
    x = encoded(fitted, np.concatenate([IMAGES[:20], turned(20)]))
    # Of an even number of rows torch takes the lower of the two in the middle.
    centre = np.quantile(usual, 0.5, axis=0, method="lower")
    standard = (components(net, x) - centre) / np.quantile(np.abs(usual - centre), 0.5, axis=0, method="lower")
    expected = {
        "image": standard[:, 0],
        "features": standard[:, 1],
        "norm": np.abs(standard[:, 2]),
        "sum": standard[:, 0] + standard[:, 1] + np.abs(standard[:, 2]),
    }
    for score_type, scores in expected.items():
        found = fitted.set_params(score_type=score_type)._score(x.numpy())[0]
        np.testing.assert_allclose(found, scores, rtol=1e-3, atol=1e-3)
    fitted.set_params(score_type="sum")


@pytest.mark.parametrize("coupling", [0.0, 10.0])
def test_the_losses_are_those_of_the_paper(fitted, coupling):
    net, x = network(fitted), encoded(fitted, IMAGES[:12])
    z, share = net.noise.draw(12, 8), net.shares.draw(12, 1)

    def critic(rows: torch.Tensor) -> torch.Tensor:
        return net.critic(net.f(rows)).squeeze(-1)

    with torch.no_grad():
        made, real = generate(net, z), critic(x)
        cycle = (made - generate(net, net.encoder(made))).abs().mean().item()
    between = (share * made + (1 - share) * x).requires_grad_(True)
    lengths = torch.stack([torch.autograd.grad(critic(row[None]).sum(), row)[0].norm() for row in between])
    err_d = (critic(made) - real + 10 * (lengths - 1).square() + 1e-3 * real.square()).mean().item()
    expected = {"err_d": err_d, "err_g": coupling * cycle - critic(made).mean().item(), "err_e": cycle}
    fitted.set_params(coupling=coupling)
    for name, value in expected.items():
        fitted.replicas_.seek_noise(0)
        assert getattr(fitted, name)(net, Batch(x)).item() == pytest.approx(value, rel=1e-3)
    fitted.set_params(coupling=0.0)


def test_coupling_lets_the_generator_know_the_encoder(fitted):
    net, x = network(fitted), encoded(fitted, IMAGES[:12])
    for p in net.parameters():
        p.requires_grad_(True)
    encoder = list(net.encoder.parameters())
    for coupling, known in ((0.0, False), (10.0, True)):
        loss = fitted.set_params(coupling=coupling).err_g(net, Batch(x))
        found = torch.autograd.grad(loss, encoder, allow_unused=True)
        assert any(g is not None for g in found) is known
    fitted.set_params(coupling=0.0)


class Beside(EncoderGAN):
    """Trains the encoder alone, into the generator as it was drawn."""

    def stages(self):
        (stage,) = super().stages()
        return (replace(stage, objectives=stage.objectives[-1:]),)


def test_the_encoder_learns_to_invert_the_generator():
    det = Beside(**{**BRIEF, "epochs": 20}, channels=(8, 16), average=0.9).fit(IMAGES)
    net = network(det)
    z = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = det._generate(net, z)
        error, spread = (made - det._generate(net, net.encoder(made))).abs().mean(), (made - made.mean(0)).abs().mean()
    assert error < 0.5 * spread


def test_what_the_game_does_is_recorded(fitted):
    diversity, accuracy = (np.ravel(fitted.history_[f"fit.{name}"]) for name in ("diversity", "accuracy"))
    assert (diversity > 0).all()
    assert ((accuracy >= 0) & (accuracy <= 1)).all()

"""Properties of GANomaly, against NumPy and scikit-learn's log loss."""

import numpy as np
import pytest
import torch
from bar_images import BRIEF, bars, encoded, network, turned
from sklearn.metrics import log_loss

from whitecrow.detectors.image.ganomaly import GANomaly
from whitecrow.train import Batch

IMAGES = bars(120)
PARTS = ("adversarial_weight", "contextual_weight", "encoder_weight")


@pytest.fixture(scope="module")
def fitted() -> GANomaly:
    return GANomaly(**BRIEF).fit(IMAGES)


def gradients(det: GANomaly, x: torch.Tensor, member: str, **weights: float) -> torch.Tensor:
    """Return the length of the gradient of the generator's loss, with these weights and no others, by a member."""
    net = network(det)
    kept = det.get_params()
    parameters = list(getattr(net, member).parameters())
    for p in net.parameters():
        p.requires_grad_(True)
    try:
        loss = det.set_params(**dict.fromkeys(PARTS, 0.0) | weights).err_g(net, Batch(x))
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
    finally:
        det.set_params(**kept)
    return sum(0 if g is None else g.abs().sum().item() for g in found)


def test_the_second_encoder_learns_from_the_codes_alone(fitted):
    x = encoded(fitted, IMAGES[:30])
    assert gradients(fitted, x, "encoder_again", adversarial_weight=1.0, contextual_weight=50.0) == 0
    assert gradients(fitted, x, "encoder_again", encoder_weight=1.0) > 0
    for weights in ({"adversarial_weight": 1.0}, {"contextual_weight": 1.0}, {"encoder_weight": 1.0}):
        for member in ("encoder", "decoder"):
            assert gradients(fitted, x, member, **weights) > 0


def test_the_code_loss_alone_reaches_no_discriminator(fitted):
    x = encoded(fitted, IMAGES[:30])
    assert gradients(fitted, x, "f", encoder_weight=1.0) == 0
    assert gradients(fitted, x, "discriminator", encoder_weight=1.0, adversarial_weight=1.0) == 0


def test_the_losses_are_those_of_the_paper(fitted):
    net, x = network(fitted), encoded(fitted, IMAGES[:40])
    with torch.no_grad():
        z = net.encoder(x)
        rebuilt = net.decoder(z)
        again = net.encoder_again(rebuilt)
        features, made = net.f(x), net.f(rebuilt)
        p = torch.sigmoid(net.discriminator(torch.cat([features, made]))).numpy().ravel().astype(float)
        err_g, err_d = fitted.err_g(net, Batch(x)).item(), fitted.err_d(net, Batch(x)).item()
    adv, con, enc = (features - made).square().mean(), (x - rebuilt).abs().mean(), (z - again).square().mean()
    assert err_g == pytest.approx((adv + 50 * con + enc).item(), rel=1e-5)
    assert err_d == pytest.approx(log_loss(np.repeat([1, 0], 40), p), rel=1e-5)


def test_scores_are_distances_of_codes_or_of_images(fitted):
    images = np.concatenate([IMAGES[:20], turned(20)])
    net, x, train = network(fitted), encoded(fitted, images), encoded(fitted, IMAGES)
    found = {}
    try:
        for score_type in ("latent", "recon", "sum"):
            found[score_type] = fitted.set_params(score_type=score_type)._score(x.numpy())[0]
            if score_type != "sum":
                found[f"{score_type}, training"] = fitted._score(train.numpy())[0]
    finally:
        fitted.set_params(score_type="latent")
    with torch.no_grad():
        z = net.encoder(x)
        rebuilt = net.decoder(z)
        again = net.encoder_again(rebuilt)
    np.testing.assert_allclose(found["latent"], (z - again).square().mean(1), rtol=1e-4)
    np.testing.assert_allclose(found["recon"], (x - rebuilt).abs().mean(1), rtol=1e-4)
    # The training rows are those that do not validate; here all of them.
    expected = sum(found[t] / found[f"{t}, training"].mean() for t in ("latent", "recon"))
    np.testing.assert_allclose(found["sum"], expected, rtol=1e-3)


def test_running_statistics_are_those_of_the_networks_that_score(fitted):
    """The averaged encoder sees the training images as it would in training, batch by batch."""
    net, x = network(fitted), encoded(fitted, IMAGES)
    with torch.no_grad():
        rows = [net.decoder(net.encoder(x))]
        buffers = {name: b.clone() for name, b in net.named_buffers()}
        net.encoder.train(), net.decoder.train()
        rows.append(net.decoder(net.encoder(x)))
        for name, b in net.named_buffers():
            b.copy_(buffers[name])
        net.eval()
    torch.testing.assert_close(rows[0], rows[1], rtol=0.01, atol=0.01)


def test_what_the_game_does_is_recorded(fitted):
    accuracy, spread = (np.ravel(fitted.history_[f"fit.{name}"]) for name in ("accuracy", "code_again_spread"))
    assert ((accuracy >= 0) & (accuracy <= 1)).all()
    assert (spread > 0).all()

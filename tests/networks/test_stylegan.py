import pytest
import torch

from genexp.networks.modulation import Modulation
from genexp.networks.stylegan import KEPT, StyleGANDecoder


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return StyleGANDecoder(8, (1, 16, 16), width=4, style_dim=6)


def test_styles_are_modulated_twice_at_each_resolution(decoder):
    layers = [m for m in decoder.modules() if isinstance(m, Modulation)]
    assert len(layers) == 6  # 4, 8 and 16 pixels
    assert all(m.affine.in_features == 6 for m in layers)
    assert decoder(torch.randn(3, 8)).shape == (3, 1, 16, 16)


def test_images_are_a_function_of_latents_in_both_modes(decoder):
    z = torch.randn(3, 8)
    trained = decoder(z)
    assert torch.equal(trained, decoder(z))
    assert torch.equal(trained, decoder.eval()(z))
    assert not torch.allclose(trained[0], trained[1], atol=1e-3)


def test_the_mean_style_is_that_of_training(decoder):
    batches = torch.randn(3, 16, 8)
    for z in batches:
        decoder(z)
    expected = decoder.mapping(batches.flatten(0, 1)).mean(0)
    torch.testing.assert_close(decoder.mean_style, expected)  # the plain mean while there are few
    decoder.passes.fill_(1e6)
    before = decoder.mean_style.clone()
    decoder(batches[0])
    torch.testing.assert_close(decoder.mean_style, KEPT * before + (1 - KEPT) * decoder.mapping(batches[0]).mean(0))
    kept = decoder.mean_style.clone()
    decoder.eval()(batches[1])
    assert torch.equal(decoder.mean_style, kept)
    assert {"mean_style", "passes"} <= set(decoder.state_dict())


def test_truncation_walks_from_the_mean_image_to_the_image(decoder):
    decoder(torch.randn(64, 8))
    decoder.eval()
    z = torch.randn(4, 8)
    assert torch.equal(decoder.truncated(z, 1.0), decoder(z))
    still = decoder.truncated(z, 0.0)
    torch.testing.assert_close(still[1:], still[:1].expand(3, -1, -1, -1))
    spreads = [decoder.truncated(z, psi).var(0).mean().item() for psi in (0.0, 0.3, 0.7, 1.0)]
    assert spreads == sorted(spreads) and spreads[1] < 0.5 * spreads[3]

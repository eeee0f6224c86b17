import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.networks.normalisation import PixelNorm
from genexp.networks.progressive import ProgressiveDecoder, ProgressiveEncoder


def test_pixel_norm_leaves_a_root_mean_square_of_one():
    torch.manual_seed(0)
    x = 7 * torch.randn(2, 5, 3, 3)
    torch.testing.assert_close(PixelNorm()(x).square().mean(1), torch.ones(2, 3, 3))
    torch.testing.assert_close(PixelNorm()(3 * x), PixelNorm()(x))


def test_latents_count_by_their_direction_alone():
    torch.manual_seed(0)
    decoder, z = ProgressiveDecoder(8, (1, 8, 8), width=4), torch.randn(3, 8)
    torch.testing.assert_close(decoder(5 * z), decoder(z), rtol=1e-4, atol=1e-5)


def test_signals_keep_their_scale_from_layer_to_layer():
    torch.manual_seed(0)
    encoder = ProgressiveEncoder((1, 32, 32), width=16, group=1)
    scales = []
    for layer in encoder.layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda layer, inputs, output: scales.append(output.std().item()))
    encoder(torch.randn(16, 1, 32, 32))
    assert len(scales) == 9
    assert 0.1 < min(scales) < max(scales) < 3


@pytest.mark.parametrize("network", [ProgressiveDecoder, ProgressiveEncoder])
def test_impossible_sizes_end_in_a_sentence(network):
    arguments = {"latent_dim": 4} if network is ProgressiveDecoder else {}
    with pytest.raises(UserError, match="network=progressive doubles a base map"):
        network(shape=(1, 9, 9), **arguments)

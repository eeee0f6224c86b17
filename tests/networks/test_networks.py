"""What every network promises, for all networks, shapes and sizes."""

import io
from functools import partial

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.networks.attention import SelfAttention
from genexp.networks.dcgan import DCGANDecoder, DCGANEncoder, base_map
from genexp.networks.initialisation import orthogonal
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.networks.normalisation import batch_coupled
from genexp.networks.progressive import ProgressiveDecoder, ProgressiveEncoder
from genexp.networks.resnet import ResNetDecoder, ResNetEncoder
from genexp.networks.sndcgan import SNDCGANDecoder, SNDCGANEncoder
from genexp.networks.stylegan import StyleGANDecoder

LATENT = 6
MLP_SHAPES = [(2,), (7,), (1, 8, 8), (3, 5, 4)]
SIZES = [8, 12, 14, 16, 20, 24, 28, 32, 48, 64, 96, 128]


def _pairs():
    """Name, decoder factory, encoder factory, shape."""
    for norm in ("none", "batch", "layer"):
        for shape in MLP_SHAPES:
            mlp = {"width": 12, "depth": 3, "norm": norm}
            yield f"mlp-{norm}-{shape}", partial(MLPDecoder, **mlp), partial(MLPEncoder, **mlp), shape
    yield "mlp-linear", partial(MLPDecoder, depth=0), partial(MLPEncoder, depth=0), (1, 4, 4)
    narrow = {"width": 4, "max_width": 8}
    for size in SIZES:
        shape = (size % 3 + 1, size, size)
        yield f"dcgan-{size}", partial(DCGANDecoder, **narrow), partial(DCGANEncoder, **narrow), shape
    for norm in ("none", "layer", "instance", "group"):
        for depth in (0, 1, 2):
            deep = {**narrow, "norm": norm, "depth_per_level": depth}
            name = f"dcgan-{norm}-depth{depth}"
            yield name, partial(DCGANDecoder, **deep), partial(DCGANEncoder, **deep), (3, 16, 16)
    for size, base in ((8, 2), (18, 9), (36, 9), (20, 10), (12, 3)):
        based = {**narrow, "base": base}
        yield (
            f"dcgan-base{base}",
            partial(DCGANDecoder, **based),
            partial(DCGANEncoder, **based),
            (1, size, size),
        )
    for kernel, up in ((5, "transposed"), (4, "nearest"), (5, "bilinear")):
        decoder = partial(DCGANDecoder, **narrow, kernel=kernel, up=up)
        yield f"dcgan-{up}-{kernel}", decoder, partial(DCGANEncoder, **narrow, kernel=kernel), (1, 16, 16)
    for norm in ("none", "batch", "layer", "group"):
        kept = {**narrow, "norm": norm}
        yield f"sndcgan-{norm}", partial(SNDCGANDecoder, **kept), partial(SNDCGANEncoder, **kept), (3, 12, 12)
        modulated = partial(ResNetDecoder, **kept, self_modulation=3, up="bilinear", attention=[8])
        yield f"resnet-{norm}", modulated, partial(ResNetEncoder, **kept, pool="mean", attention=[8]), (2, 16, 16)
    big = partial(ResNetDecoder, **narrow, self_modulation=0, hierarchical=True, init=orthogonal)
    yield "biggan", big, partial(ResNetEncoder, **narrow, init=orthogonal, scale=0.5), (1, 8, 8)
    for group in (1, 4):
        encoder = partial(ProgressiveEncoder, **narrow, group=group)
        yield f"progressive-{group}", partial(ProgressiveDecoder, **narrow), encoder, (1, 14, 14)
    yield "stylegan", partial(StyleGANDecoder, **narrow), partial(ProgressiveEncoder, **narrow), (1, 8, 8)


PAIRS = [pytest.param(decoder, encoder, shape, id=name) for name, decoder, encoder, shape in _pairs()]


def _builds(decoder, encoder, shape):
    """Both roles as (build, input)."""
    torch.manual_seed(0)
    yield lambda: _attentive(decoder(latent_dim=LATENT, shape=shape)), torch.randn(8, LATENT), (8, *shape)
    yield lambda: _attentive(encoder(shape=shape, outputs=3)), torch.randn(8, *shape).tanh(), (8, 3)


def _attentive(network):
    """The network with its attention switched on, which starts as the identity."""
    for module in network.modules():
        if isinstance(module, SelfAttention):
            nn.init.constant_(module.gamma, 0.5)
    return network


@pytest.mark.parametrize(("decoder", "encoder", "shape"), PAIRS)
def test_shapes_and_gradients_reach_every_parameter(decoder, encoder, shape):
    for build, inputs, expected in _builds(decoder, encoder, shape):
        network = build()
        inputs.requires_grad_()
        outputs = network(inputs)
        assert outputs.shape == expected
        (outputs * torch.randn_like(outputs)).sum().backward()
        assert inputs.grad.flatten(1).abs().amax(1).gt(0).all()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("decoder", "encoder", "shape"), PAIRS)
def test_saved_weights_give_the_same_outputs(decoder, encoder, shape):
    for build, inputs, _ in _builds(decoder, encoder, shape):
        network, other = build(), build()
        network(inputs)  # moves the running statistics, which belong to the state
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        network.eval(), other.eval()
        assert torch.equal(network(inputs), other(inputs))


@pytest.mark.parametrize(("decoder", "encoder", "shape"), PAIRS)
def test_samples_are_coupled_exactly_where_batch_coupled_says_so(decoder, encoder, shape):
    for build, inputs, _ in _builds(decoder, encoder, shape):
        network = build().double()
        inputs = inputs.double()
        others = torch.cat([inputs[:1], inputs[1:].flip(1) + 1])
        same = torch.allclose(network(inputs)[0], network(others)[0], rtol=1e-9, atol=1e-12)
        assert same is not batch_coupled(network)


def test_mlp_batch_norm_is_coupled_and_dcgan_by_default_too():
    assert batch_coupled(MLPEncoder((2,), norm="batch"))
    assert batch_coupled(DCGANDecoder(LATENT, (1, 8, 8)))
    assert not batch_coupled(DCGANEncoder((1, 16, 16), norm="group"))


def test_a_layer_of_ones_own_can_declare_that_it_couples_samples():
    class MinibatchDeviation(nn.Module):
        couples_samples = True

        def forward(self, x):
            return x - x.mean(0)

    assert batch_coupled(nn.Sequential(nn.Linear(2, 2), MinibatchDeviation()))


def test_parameter_counts_of_the_published_dcgan():
    decoder = DCGANDecoder(latent_dim=100, shape=(3, 64, 64), width=64)
    encoder = DCGANEncoder(shape=(3, 64, 64), outputs=1, width=64)
    assert sum(p.numel() for p in decoder.parameters()) == 3_576_704
    assert sum(p.numel() for p in encoder.parameters()) == 2_765_568


def test_layers_of_the_published_dcgan():
    decoder = DCGANDecoder(latent_dim=100, shape=(3, 64, 64))
    encoder = DCGANEncoder(shape=(3, 64, 64))
    ups = [m for m in decoder.modules() if isinstance(m, nn.ConvTranspose2d)]
    downs = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in ups] == [
        (100, 512),
        (512, 256),
        (256, 128),
        (128, 64),
        (64, 3),
    ]
    assert [(m.in_channels, m.out_channels) for m in downs] == [
        (3, 64),
        (64, 128),
        (128, 256),
        (256, 512),
        (512, 1),
    ]
    assert all(m.bias is None for m in ups + downs)
    assert isinstance(encoder.layers[1], nn.LeakyReLU)  # the first layer is not normalised
    assert encoder.layers[1].negative_slope == 0.2


def test_images_are_in_the_data_range_and_points_are_not():
    z = 100 * torch.randn(16, LATENT)
    assert MLPDecoder(LATENT, (1, 8, 8))(z).abs().max() <= 1
    assert DCGANDecoder(LATENT, (1, 8, 8))(z).abs().max() <= 1
    assert MLPDecoder(LATENT, (2,))(z).abs().max() > 1
    assert MLPDecoder(LATENT, (1, 8, 8), output="identity")(z).abs().max() > 1


def test_base_map_inverts_doubling():
    for base in range(4, 8):
        for doublings in range(1, 6):
            assert base_map(base * 2**doublings) == (base, doublings)
    assert base_map(8, base=4) == (4, 1)
    assert base_map(8, base=2) == (2, 2)


def test_a_part_of_ones_own_needs_no_registration():
    network = DCGANEncoder((1, 16, 16), norm=nn.BatchNorm2d, activation=nn.Mish)
    assert any(isinstance(m, nn.Mish) for m in network.modules())
    assert batch_coupled(network)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: DCGANDecoder(4, (2,)), r"network=dcgan needs images .* shape \(2,\): use network=mlp"),
        (lambda: DCGANEncoder((1, 8, 16)), "square images.*crop or pad"),
        (lambda: DCGANEncoder((1, 9, 9)), "never gives 9: resize the images to 8 or 10 pixels.$"),
        (lambda: DCGANEncoder((1, 36, 36)), "resize the images to 32 or 40 pixels, or set .* to 9.$"),
        (lambda: DCGANEncoder((1, 6, 6)), "resize the images to 8 pixels, or set .* to 3.$"),
        (lambda: DCGANEncoder((1, 2, 2)), "resize the images to 8 pixels.$"),
        (lambda: DCGANDecoder(4, (1, 28, 28), base=4), "base=4 never doubles to images of 28 pixels"),
        (lambda: DCGANDecoder(4, (1, 8, 8), base=8), "base=8 never doubles"),
        (lambda: DCGANDecoder(4, (1, 8, 8), base=1), "base=1 never doubles"),
        (
            lambda: DCGANDecoder(4, (1, 8, 8), norm="bacth"),
            "norm=bacth is unknown: choose one of none, batch",
        ),
        (
            lambda: DCGANDecoder(4, (1, 8, 8), depth_per_level=-1),
            "depth_per_level=-1 is too small: give at least 0",
        ),
        (
            lambda: MLPEncoder((2,), norm="instance"),
            "norm=instance is unknown: choose one of none, batch, layer",
        ),
        (lambda: MLPEncoder((2,), activation="rellu"), "activation=rellu is unknown"),
        (lambda: MLPDecoder(4, (2,), output="sigmoid"), "output=sigmoid is unknown"),
        (lambda: MLPDecoder(0, (2,)), "latent_dim=0 is too small: give at least 1"),
        (lambda: MLPDecoder(4, (2, 3)), r"vector \(D,\) or an image \(C, H, W\)"),
    ],
)
def test_impossible_arguments_end_in_a_sentence(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()

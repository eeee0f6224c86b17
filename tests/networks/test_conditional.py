import copy
from functools import partial

import pytest
import torch

from genexp.errors import UserError
from genexp.networks.conditional import (
    BatchNormGenerator,
    ClassifyingCritic,
    ConcatenationCritic,
    ConcatenationGenerator,
    ConditionalBatchNorm,
    Labels,
    ProjectionCritic,
)
from genexp.networks.dcgan import DCGANDecoder, DCGANEncoder
from genexp.networks.mlp import MLPDecoder, MLPEncoder

K = 3
IMAGE = (1, 8, 8)
DECODERS = {
    "mlp": partial(MLPDecoder, width=8, norm="batch"),
    "dcgan": partial(DCGANDecoder, width=4, base=2),
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_a_concatenated_class_is_features_of_a_vector_and_channels_of_an_image():
    y = torch.tensor([2, 0])
    critic = ConcatenationCritic(partial(MLPEncoder, width=8), K, shape=(2,))
    x = torch.randn(2, 2)
    torch.testing.assert_close(critic(x, y), critic.encoder(torch.cat([x, torch.eye(K)[y]], dim=1)))
    critic = ConcatenationCritic(partial(DCGANEncoder, width=4, base=2, norm="none"), K, shape=IMAGE, label_dim=2)
    x = torch.randn(2, *IMAGE)
    planes = critic.labels.learnt.weight[y].reshape(2, 2, 1, 1).repeat(1, 1, 8, 8)
    torch.testing.assert_close(critic(x, y), critic.encoder(torch.cat([x, planes], dim=1)))
    assert not torch.equal(critic(x, y), critic(x, y.flip(0)))


@pytest.mark.parametrize("outputs", [1, 4])
def test_projection_adds_the_inner_product_of_class_and_features(outputs):
    critic = ProjectionCritic(partial(MLPEncoder, width=8), K, shape=(2,), outputs=outputs, code_dim=6)
    x, y = torch.randn(5, 2), torch.tensor([0, 1, 2, 0, 1])
    features = critic.features(x)
    plain = features @ critic.score.weight.T + critic.score.bias
    inner = torch.stack([critic.classes.weight[c] @ v for c, v in zip(y, features, strict=True)])
    torch.testing.assert_close(critic(x, y), plain + inner[:, None])


def test_a_classifying_critic_is_told_nothing():
    critic = ClassifyingCritic(partial(MLPEncoder, width=8), K, shape=(2,), outputs=2)
    x = torch.randn(4, 2)
    assert critic(x, torch.zeros(4).long()).shape == (4, 2 + K)
    assert torch.equal(critic(x, torch.zeros(4).long()), critic(x, torch.ones(4).long()))


@pytest.mark.parametrize("label_dim", [None, 5])
def test_a_generator_reads_the_class_beside_the_latent(label_dim):
    generator = ConcatenationGenerator(partial(MLPDecoder, width=8), K, latent_dim=4, shape=(2,), label_dim=label_dim)
    z, y = torch.randn(3, 4), torch.arange(K)
    labels = torch.eye(K) if label_dim is None else generator.labels.learnt.weight
    torch.testing.assert_close(generator(z, y), generator.decoder(torch.cat([z, labels[y]], dim=1)))
    with pytest.raises(UserError, match="label_dim"):
        Labels(K, 0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_conditional_batchnorm_starts_as_the_plain_network_to_the_bit(decoder, training):
    torch.manual_seed(1)
    plain = decoder(latent_dim=4, shape=IMAGE).train(training)
    torch.manual_seed(1)
    generator = BatchNormGenerator(decoder, K, latent_dim=4, shape=IMAGE).train(training)
    z, y = torch.randn(6, 4), torch.arange(6) % K
    assert torch.equal(generator(z, y), plain(z))
    assert torch.equal(generator(z, y.flip(0)), plain(z))


def test_conditional_batchnorm_is_an_affine_map_for_each_class():
    layer = ConditionalBatchNorm(torch.nn.BatchNorm2d(2), K)
    torch.nn.init.normal_(layer.gain.weight)
    torch.nn.init.normal_(layer.bias.weight)
    x, layer.y = torch.randn(4, 2, 3, 3), torch.tensor([0, 2, 2, 1])
    normalised = copy.deepcopy(layer.norm)(x)
    for sample, c in enumerate(layer.y):
        for channel in range(2):
            expected = (1 + layer.gain.weight[c, channel]) * normalised[sample, channel] + layer.bias.weight[c, channel]
            torch.testing.assert_close(layer(x)[sample, channel], expected)


def test_gradients_reach_the_offsets_of_the_classes_in_the_batch_alone():
    generator = BatchNormGenerator(DECODERS["dcgan"], K, latent_dim=4, shape=IMAGE)
    generator(torch.randn(4, 4), torch.tensor([0, 0, 2, 2])).square().sum().backward()
    layers = [m for m in generator.modules() if isinstance(m, ConditionalBatchNorm)]
    assert len(layers) == 2
    for layer in layers:
        for table in (layer.gain, layer.bias):
            moved = table.weight.grad.abs().sum(1) > 0
            assert moved.tolist() == [True, False, True]
        assert layer.y is None  # nothing of the batch stays behind


def test_a_decoder_without_batchnorm_is_refused():
    with pytest.raises(UserError, match=r"network\.decoder\.norm=batch"):
        BatchNormGenerator(partial(MLPDecoder, width=8), K, latent_dim=4, shape=(2,))

"""Cascading rejection: the cascade itself against the weights that stand for it (C1, T5.1-T5.4)."""

import pytest
import torch
from torch import nn

from genexp import catalogue
from genexp import config as configs
from genexp.errors import UserError
from genexp.networks.dcgan import DCGANEncoder
from genexp.networks.heads import CascadingRejection, cascade, orthogonal, rejected
from genexp.networks.mlp import MLPEncoder
from genexp.objectives.constraints import SpectralNormalisation


@pytest.fixture(autouse=True)
def double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def cascaded(v, weights):
    """The definition: score, reject, score what is left; also returns v_1, ..., v_N."""
    scores, seen = [], []
    for w in weights:
        seen.append(v)
        share = v @ w
        scores.append(share)
        v = v - (share / w.square().sum())[:, None] * w
    return torch.stack(scores, 1), [*seen[1:], v]


def test_the_weights_score_as_the_cascade_does():
    """T5.4, values and gradients: nothing of the projections is a constant."""
    v, weights = torch.randn(7, 9), torch.randn(4, 9, requires_grad=True)
    slow, _ = cascaded(v, weights)
    fast = v @ rejected(weights).T
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
    factors = torch.randn_like(slow)
    one, other = (
        torch.autograd.grad((factors * scores).sum(), weights, retain_graph=True)[0] for scores in (fast, slow)
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_what_is_left_is_orthogonal_to_what_has_been_asked():
    """T5.2: to the last weight always, to those before it only after Gram and Schmidt; it never grows."""
    v, weights = torch.randn(7, 9), torch.randn(3, 9)
    _, left = cascaded(v, weights)
    for rest, w in zip(left, weights, strict=True):
        assert (rest @ w).abs().max() < 1e-10
    assert (left[1] @ weights[0]).abs().max() > 1e-2
    lengths = torch.stack([v.norm(dim=1), *[rest.norm(dim=1) for rest in left]])
    assert bool((lengths.diff(dim=0) <= 1e-12).all())
    _, left = cascaded(v, orthogonal(weights))
    assert (left[1] @ orthogonal(weights)[0]).abs().max() < 1e-10
    assert (rejected(weights)[1:] @ weights[0]).abs().max() < 1e-10


def test_equal_weights_leave_nothing_for_the_second_head():
    v, w = torch.randn(5, 6), torch.randn(6)
    assert (v @ rejected(torch.stack([w, w])).T)[:, 1].abs().max() < 1e-12


def test_orthogonal_weights_are_left_alone():
    """T5.3, and what Gram-Schmidt makes is orthogonal with the same first weight."""
    weights = torch.linalg.qr(torch.randn(6, 4)).Q.T * torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    torch.testing.assert_close(rejected(weights), weights, rtol=0, atol=1e-12)
    made = orthogonal(torch.randn(4, 6))
    gram = made @ made.T
    assert (gram - gram.diag().diag()).abs().max() < 1e-12
    torch.testing.assert_close(rejected(made), made, rtol=0, atol=1e-12)


def test_one_head_is_a_plain_linear_layer():
    """T5.1: the same values and gradients, bit for bit."""
    layer, v = nn.Linear(6, 1), torch.randn(5, 6)
    head = CascadingRejection(layer, heads=1)
    one, other = (torch.autograd.grad(f(v).square().sum(), list(layer.parameters())) for f in (layer, head))
    assert torch.equal(layer(v), head(v))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("gram_schmidt", [False, True])
def test_the_last_layer_of_any_critic_becomes_the_cascade(gram_schmidt):
    for critic, x in (
        (MLPEncoder((2,), outputs=3, width=8), torch.randn(5, 2)),
        (DCGANEncoder((1, 8, 8), outputs=3, width=8, base=2, norm="none"), torch.randn(5, 1, 8, 8)),
        (nn.Linear(4, 3), torch.randn(5, 4)),
    ):
        last = [m for m in critic.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
        features = []
        hook = last.register_forward_pre_hook(lambda module, inputs, features=features: features.append(inputs[0]))
        critic(x)
        hook.remove()
        weights = last.weight.flatten(1)
        expected, _ = cascaded(features[0].flatten(1), orthogonal(weights) if gram_schmidt else weights)
        if last.bias is not None:
            expected = expected + last.bias
        made = cascade(critic, 3, gram_schmidt)
        torch.testing.assert_close(made(x), expected, rtol=0, atol=1e-12)
        assert made.state_dict().keys() and sum(p.numel() for p in made.parameters()) == sum(
            p.numel() for p in critic.parameters()
        )


def test_outputs_beyond_the_heads_stay_what_they_are():
    layer, v = nn.Linear(6, 5), torch.randn(4, 6)
    assert torch.equal(CascadingRejection(layer, heads=2)(v)[:, 2:], layer(v)[:, 2:])


def test_it_stays_in_float32_under_autocast():
    torch.set_default_dtype(torch.float32)
    critic = cascade(MLPEncoder((2,), outputs=3, width=8), 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert critic(torch.randn(5, 2)).dtype == torch.float32


def test_spectral_norms_bound_every_score():
    critic = cascade(SpectralNormalisation(warm_up=100).prepare(MLPEncoder((2,), outputs=3, width=8)), 3)
    x = torch.randn(64, 2, requires_grad=True)
    for scores in critic(x).unbind(1):
        (slope,) = torch.autograd.grad(scores.sum(), x, retain_graph=True)
        assert slope.norm(dim=1).max() <= 1 + 1e-4


def test_what_cannot_have_the_head_is_refused():
    with pytest.raises(UserError, match="does not end in one of 3 outputs"):
        cascade(MLPEncoder((2,), outputs=1), 3)
    with pytest.raises(UserError, match="does not end in one of 3 outputs"):
        cascade(nn.ReLU(), 3)
    with pytest.raises(UserError, match=r"head.heads=3 is too many for 2 features"):
        cascade(nn.Linear(2, 3), 3)


@pytest.mark.parametrize("option", catalogue.options("network"))
def test_every_network_takes_the_head(option):
    """With one head the critic is what it was, whatever its last layer does to its weights."""
    torch.set_default_dtype(torch.float32)
    encoder = configs.build(configs.compose_train([f"network={option}"]).config.network.encoder, "network")
    critic = encoder(shape=(1, 32, 32), outputs=1).eval()
    x = torch.randn(2, 1, 32, 32)
    expected = critic(x)
    assert torch.equal(cascade(critic, 1)(x), expected)
    assert cascade(encoder(shape=(1, 32, 32), outputs=3), 3)(x).shape == (2, 3)

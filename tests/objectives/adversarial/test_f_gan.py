"""f-GANs: the trained critic reports the true divergence, and an expression trains as its built-in does."""

import pytest
import torch
from tests.objectives.discrete import LOG_RATIO, P_COUNTS, P, Q, best_critic, critic_loss, estimate, generator_loss
from tests.objectives.losses import F_GANS, OWN, name_of
from torch import nn

from genexp.errors import UserError
from genexp.objectives.adversarial import FGAN, NonSaturating, Saturating
from genexp.objectives.divergences import TABLE, divergence_of

EXPRESSIONS = {name: row.formula if name != "gan" else f"{row.formula} + 2*log(2)" for name, row in TABLE.items()}


@pytest.mark.parametrize("loss", F_GANS + OWN, ids=name_of)
def test_the_trained_critic_reports_the_true_divergence(loss):
    name, factor = loss.known or ("own", 1.0)
    truth = (loss.convex.between(P, Q).item() - loss.convex.at_one) / factor
    if loss.f is None and factor == 1.0:
        assert loss.bound.name == loss.divergence
    if name != "own":
        assert truth == pytest.approx(TABLE[name].between(P, Q).item(), abs=1e-9)
    scores = best_critic(loss)
    assert estimate(loss, scores) == pytest.approx(truth, abs=1e-6)
    same = best_critic(loss, P_COUNTS, P_COUNTS)
    assert estimate(loss, same, P_COUNTS, P_COUNTS) == pytest.approx(0, abs=1e-6)
    if loss.uses_log_ratio:
        torch.testing.assert_close(scores, LOG_RATIO, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", TABLE)
def test_the_best_output_is_the_slope_of_f(name):
    """T* = f'(p/q): with it the game has the divergence's value, without any training."""
    row = TABLE[name]
    t = row.best(P / Q)
    value = (P * t).sum() - (Q * row.conjugate(t)).sum()
    assert value.item() == pytest.approx(row.between(P, Q).item(), abs=1e-9)


def test_the_gan_row_is_the_original_gan():
    loss = FGAN("gan", generator_loss="minimax")
    real, fake = (3 * torch.randn(2, 64, dtype=torch.float64)).requires_grad_().unbind()
    for one, other in (
        (loss.critic(real, fake), NonSaturating().critic(real, fake)),
        (loss.generator(fake), Saturating().generator(fake)),
        (FGAN("gan").generator(fake), NonSaturating().generator(fake)),
    ):
        assert one.item() == pytest.approx(other.item(), abs=1e-15)
        for a, b in zip(*(torch.autograd.grad(v, (real, fake), allow_unused=True) for v in (one, other)), strict=True):
            if b is not None:
                torch.testing.assert_close(a, b, rtol=0, atol=1e-15)


def cases():
    for name, formula in EXPRESSIONS.items():
        for activation in ("log_ratio", "domain"):
            if TABLE[name].smooth or activation == "domain":
                for generator in FGAN.generator_losses:
                    yield pytest.param(name, formula, activation, generator, id=f"{name}-{activation}-{generator}")


@pytest.mark.parametrize(("name", "formula", "activation", "generator"), cases())
def test_a_built_in_written_as_an_expression_trains_identically(name, formula, activation, generator):
    losses = [FGAN(name, None, activation, generator), FGAN(f=formula, activation=activation, generator_loss=generator)]
    assert losses[0].bound.name == losses[1].bound.name
    gradients, weights = zip(*(trained(loss) for loss in losses), strict=True)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)
    assert (weights[0] - start()).abs().max() > 1e-3


def networks():
    torch.manual_seed(3)
    return [nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, out)).double() for out in (2, 1)]


def start():
    return nn.utils.parameters_to_vector([p for network in networks() for p in network.parameters()]).detach()


def trained(loss, steps=20):
    """Both players' gradients at the start, and the weights after alternating steps of SGD."""
    generator, critic = networks()
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.05) for network in (critic, generator)]
    stream, first = torch.Generator().manual_seed(1), []
    for step in range(steps):
        x, z = torch.randn(2, 32, 2, dtype=torch.float64, generator=stream)
        value = loss.critic(critic(x + 1).squeeze(1), critic(generator(z).detach()).squeeze(1))
        for network, optimizer in zip((critic, generator), optimizers, strict=True):
            value = value if network is critic else loss.generator(critic(generator(z)).squeeze(1))
            optimizer.zero_grad()
            value.backward()
            if step == 0:
                first += [p.grad.clone() for p in network.parameters()]
            optimizer.step()
    return first, nn.utils.parameters_to_vector([*generator.parameters(), *critic.parameters()]).detach()


@pytest.mark.parametrize("generator", FGAN.generator_losses)
@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.smooth])
def test_the_generator_follows_a_divergence_at_a_fixed_critic(name, generator):
    """The cost of a sample at the best critic grows with q/p, whichever generator loss."""
    ratio = torch.logspace(-2, 2, 41, dtype=torch.float64)
    loss = FGAN(name, generator_loss=generator)
    costs = torch.stack([loss.generator(score[None]) for score in -ratio.log()])
    assert (costs.diff() > 0).all()
    if generator == "minimax":  # then it is the critic's own divergence
        torch.testing.assert_close(costs, TABLE[name].ratio_slope(ratio))


def test_generator_values_by_hand():
    loss = FGAN("kl", generator_loss="alternative")
    assert generator_loss(loss, LOG_RATIO).item() == pytest.approx(-(Q * (LOG_RATIO + 1)).sum().item())
    minimax = FGAN("kl", generator_loss="minimax")
    assert generator_loss(minimax, LOG_RATIO).item() == pytest.approx(-1.0)  # E_q p/q
    assert critic_loss(loss, LOG_RATIO).item() == pytest.approx(-0.242697919, abs=1e-9)


def test_multiples_and_unknown_ones_are_named_as_such():
    doubled = FGAN(f="2*u*log(u) - 3*(u - 1)")
    assert doubled.bound.name == "kl" and doubled.bound.scale == pytest.approx(0.5)
    assert "2 x kl" in doubled.summary
    own = FGAN(f="u**3 - 1")
    assert own.known is None and own.bound.name == "own" and "without a name" in own.summary
    assert FGAN("kl").summary is None
    assert "found in closed form" in FGAN(f="u*log(u)", activation="domain").summary
    assert "found numerically" in OWN[0].summary


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"divergence": "hellinger"}, "loss.divergence=hellinger is unknown: choose one of kl, "),
        ({"generator_loss": "saturating"}, "loss.generator_loss=saturating is unknown"),
        ({"activation": "sigmoid"}, "loss.activation=sigmoid is unknown"),
        ({"divergence": "total_variation", "activation": "log_ratio"}, "choose loss.activation=domain"),
        ({"f": "max(u - 1, 0)", "activation": "log_ratio"}, "choose loss.activation=domain"),
        ({"f": "sqrt(u) - 1"}, "is not convex near u"),
    ],
)
def test_what_cannot_work_is_refused(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        FGAN(**arguments)


def test_expressions_are_read_once():
    assert divergence_of("u*log(u)") is divergence_of("u*log(u)")

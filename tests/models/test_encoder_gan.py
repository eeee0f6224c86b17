"""What all GANs that encode have in common."""

import copy

import pytest
import torch
from tests.small_encoders import FAMILIES, make
from tests.small_gan import batch

from genexp.errors import UserError
from genexp.objectives.adversarial import Hinge, NonSaturating, Pair, QuadraticPotential, Relativistic, Saturating
from genexp.objectives.penalties import R1, Consistency, GradientPenalty, TrustRegion
from genexp.training.health import signs
from genexp.training.plans import (
    Alternating,
    Consensus,
    Extragradient,
    GradientReversal,
    Simultaneous,
    SingleLoss,
    Unrolled,
)

PLANS = [Alternating(critic=2, generator=2, same_latents=True), Extragradient(), Unrolled(steps=1), Consensus()]
PLANS += [SingleLoss(), Alternating(penalty_steps=True)]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def of_players(model):
    return [list(model.players()[name].parameters()) for name in ("critic", "generator")]


def separate_and_joint(model, ratio=0.7):
    """Both players' gradients from their own losses, and from the joint one."""
    data, (critic, generator) = batch(), of_players(model)
    model.random.begin(0)
    fakes = model.generate(data)
    of_critic = torch.autograd.grad(model.critic_loss(data, fakes.detach()), critic)
    of_generator = torch.autograd.grad(model.generator_loss(data, fakes), generator, retain_graph=True)
    model.random.begin(0)
    model.generate(data)  # takes the same random numbers
    joint = torch.autograd.grad(model.single_loss(data, fakes, ratio), [*critic, *generator])
    return (of_critic, of_generator), joint


def test_single_loss_gradients_equal_the_two_losses(family):
    (critic, generator), joint = separate_and_joint(make(family, penalties={"r1": R1(weight=0.5)}))
    for got, want in zip(joint, [*critic, *(0.7 * g for g in generator)], strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    flat = [gradient.abs().max() == 0 for gradient in joint]
    assert sum(flat) == (family == "energy_gan")  # whose loss does not see the critic's last bias


@pytest.mark.parametrize(
    "loss", [Relativistic(), Relativistic("average"), Hinge(), Saturating(), QuadraticPotential()], ids=str
)
@pytest.mark.parametrize("family", ["o_gan", "ali", "vae_gan", "energy_gan"])
def test_they_play_by_other_losses(family, loss):
    (critic, generator), joint = separate_and_joint(make(family, loss=loss, penalties={}))
    for got, want in zip(joint, [*critic, *(0.7 * g for g in generator)], strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


def test_single_loss_and_simultaneous_walk_the_same_path(family):
    models = [make(family, plan=plan, lr=1e-3) for plan in (SingleLoss(), Simultaneous())]
    for model in models:
        for _ in range(4):
            model.step(batch())
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: type(plan).__name__)
def test_every_plan_moves_every_weight(family, plan):
    model = make(family, plan=plan, lr=1e-3)
    before = [p.clone() for p in model.parameters()]
    for _ in range(2):
        model.step(batch(16 * plan.sub_batches))
    still = [n for (n, p), b in zip(model.named_parameters(), before, strict=True) if torch.equal(p, b)]
    assert still == (["critic.layers.5.bias"] if family == "energy_gan" else [])  # which its loss does not see
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_step_is_a_function_of_weights_batch_seed_and_step(family):
    one = make(family)
    two = copy.deepcopy(one)
    two.configure_optimizers()
    torch.manual_seed(99)
    one.step(batch())
    two.step(batch())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_a_trust_region_compares_samples(family):
    plan = Alternating(generator=2, same_latents=True)
    model = make(family, plan=plan, penalties={"r1": R1(), "trust_region": TrustRegion()})
    model.step(batch())
    row = model.meter.flush()
    assert row["penalty/trust_region"] > 0  # the mean over both updates; zero in the first
    data = batch()
    model.random.begin(0)
    fakes = model.generate(data)
    model.meter.flush()
    model.generator_loss({**data, "reference": fakes.detach()}, fakes)
    assert model.meter.flush()["penalty/trust_region"] == 0


def test_the_monitor_sees_data_samples_and_scores(family):
    model = make(family)
    for update in ("critic", "single"):
        data = batch()
        model.random.begin(0)
        fakes = model.generate(data)
        model.critic_loss(data, fakes) if update == "critic" else model.single_loss(data, fakes, 1.0)
        assert torch.equal(model.seen["x"].reshape(16, 2), data["x"])
        assert model.seen["fakes"].flatten(1).shape == (16, 2)
        assert torch.equal(model.seen["fakes"].flatten(1), fakes.detach()[:16, :2])
        assert model.seen["real"].shape == model.seen["fake"].shape
        seen = signs(model.seen, model.players())
        assert 0 <= seen["separation"] <= 1 and seen["diversity"] > 0


def test_latents_of_data_and_back(family):
    model = make(family)
    x = batch()["x"]
    with model.sampling("raw"):
        z = model.encode(x)
        assert z.shape == (16, 3)
        assert torch.equal(model.reconstruct(x), model.decode(z))
        assert torch.equal(model.sample(4, seed=1), model.decode(model.latents(4, seed=1)))
        assert not torch.equal(model.sample(4, seed=1), model.sample(4, seed=2))


def test_what_encodes_is_averaged(family):
    model = make(family)
    encodes = "critic" if family == "o_gan" else "encoder"
    assert {"generator", encodes} <= set(model.averaged)


def test_plans_and_losses_that_do_not_fit_are_refused(family):
    with pytest.raises(UserError, match="use model=pair_gan|plays in the quadratic potential"):
        make(family, loss=Pair())
    if family != "bigan_qp":
        with pytest.raises(UserError, match="use plan=single_loss"):
            make(family, loss=NonSaturating(), plan=GradientReversal())
    if family in ("o_gan", "vae_gan", "energy_gan"):
        with pytest.raises(UserError, match="use plan=single_loss"):
            make(family, loss=Saturating(), plan=GradientReversal())


@pytest.mark.parametrize("penalty", [GradientPenalty(), Consistency()], ids=lambda p: type(p).__name__)
def test_penalties_read_what_the_critic_reads(family, penalty):
    if family in ("ali", "bigan", "bigan_qp") and isinstance(penalty, Consistency):
        with pytest.raises(UserError, match="this critic sees them with a latent"):
            make(family, penalties={"it": penalty})
        return
    model = make(family, penalties={"it": penalty, "r1": R1()})
    model.step(batch())
    assert model.meter.flush()["penalty/it"] > 0

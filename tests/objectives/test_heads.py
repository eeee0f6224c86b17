"""A cascade's scores under every loss, penalty and plan."""

import copy

import pytest
import torch
from tests.objectives.losses import LOSSES, name_of
from tests.small_gan import batch, make

from genexp.errors import UserError
from genexp.objectives.adversarial import Hinge, NonSaturating, QuadraticPotential, Relativistic, Wasserstein
from genexp.objectives.constraints import GradientNormalisation, NoConstraint, SpectralNormalisation, WeightClip
from genexp.objectives.heads import Cascading, Linear, MeanOverHeads
from genexp.objectives.penalties import R1, GradientPenalty, LeCam
from genexp.training.plans import Alternating, Simultaneous, SingleLoss

SHARES = (0.5, 0.3, 0.2)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_each_head_has_the_loss_to_itself(loss):
    real, fake, x, z = torch.randn(8, 3), torch.randn(8, 3), torch.randn(8, 2), torch.randn(8, 2)
    head = Cascading(3, weights=[5, 3, 2])
    assert head.shares == pytest.approx(SHARES)
    over, alone = head.over(loss).between(x, z), loss.between(x, z)
    critic = sum(a * alone.critic(real[:, i], fake[:, i]) for i, a in enumerate(SHARES))
    generator = sum(a * alone.generator(fake[:, i], real[:, i]) for i, a in enumerate(SHARES))
    torch.testing.assert_close(over.critic(real, fake), critic)
    torch.testing.assert_close(over.generator(fake, real), generator)


def test_the_mean_of_losses_is_not_the_loss_of_the_mean():
    real, fake = torch.tensor([[2.0, -2.0]]), torch.full((1, 2), -2.0)
    assert MeanOverHeads(Hinge(), (0.5, 0.5)).critic(real, fake) == 1.5
    assert Hinge().critic(real.mean(1), fake.mean(1)) == 1.0


@pytest.mark.parametrize("loss", [Hinge(), Relativistic("average"), QuadraticPotential()], ids=name_of)
@pytest.mark.parametrize("plan", [Alternating(critic=2), SingleLoss()], ids=lambda plan: type(plan).__name__)
def test_one_head_walks_the_path_of_a_plain_critic(loss, plan):
    penalties = {"r1": R1(interval=2), "lecam": LeCam()}
    models = [make(loss, copy.deepcopy(penalties), plan, head=head) for head in (Linear(), Cascading(1))]
    for model in models:
        for _ in range(3):
            model.step(batch(16 * plan.sub_batches))
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_single_loss_and_simultaneous_walk_the_same_path():
    models = [make(Hinge(), plan=plan, head=Cascading(3)) for plan in (SingleLoss(), Simultaneous())]
    for model in models:
        for _ in range(5):
            model.step(batch())
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_penalties_and_the_log_read_the_mean_score():
    model = make(penalties={"gp": GradientPenalty(weight=2.0)}, head=Cascading(3, weights=SHARES))
    data, fakes = batch(), torch.randn(16, 2)
    model.random.begin(0)
    loss = model.critic_loss(data, fakes)
    row = {name: values[0].item() for name, values in model.meter._pending.items()}
    shares = torch.tensor(SHARES)
    assert row["score/real"] == pytest.approx((model.critic(data["x"]) @ shares).mean().item())
    model.random.begin(0)
    eps = model.random.uniform(16)[:, None].double()
    x = (eps * data["x"] + (1 - eps) * fakes).requires_grad_()
    (slope,) = torch.autograd.grad((model.critic(x) @ shares).sum(), x)
    expected = (slope.norm(dim=1) - 1).square().mean().item()
    assert row["penalty/gp"] == pytest.approx(expected, rel=1e-6)
    assert loss.item() == pytest.approx(row["loss/critic"] + 2 * expected, rel=1e-6)


@pytest.mark.parametrize("constraint", [NoConstraint(), WeightClip(0.3), SpectralNormalisation()], ids=repr)
def test_a_resumed_step_has_the_same_bits(constraint):
    def fresh():
        return make(NonSaturating(), {"lecam": LeCam()}, constraint=constraint, head=Cascading(2, gram_schmidt=True))

    whole = fresh()
    whole.step(batch())
    saved = {"step": 1, **copy.deepcopy(whole.training_state())}
    whole.step(batch())
    resumed = fresh()
    resumed.load_training_state(saved)
    resumed.step(batch())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_what_does_not_go_together_is_refused():
    with pytest.raises(UserError, match=r"constraint=gradient divides a critic's score by its slope.* 3 scores"):
        make(constraint=GradientNormalisation(), head=Cascading(3))
    with pytest.raises(UserError, match=r"head.heads=0"):
        Cascading(0)
    with pytest.raises(UserError, match=r"head.weights=\[1.0, 2.0\] do not fit: give 3"):
        Cascading(3, weights=[1.0, 2.0])
    with pytest.raises(UserError, match=r"constraint=clip or penalty=gp"):
        make(Wasserstein(), head=Cascading(2))

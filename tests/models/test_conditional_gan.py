from functools import partial

import pytest
import torch
from tests.objectives.losses import LOSSES as ALL_LOSSES
from tests.objectives.losses import name_of
from tests.small_gan import batch, make

from genexp.assembly import build_model
from genexp.catalogue import options
from genexp.config import compose_train, from_plain
from genexp.errors import UserError
from genexp.models.conditional_gan import ConditionalGAN
from genexp.models.gan import GAN
from genexp.models.sampling import class_sheet, draw, labels_for
from genexp.networks.conditional import BatchNormGenerator, ConcatenationGenerator
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import NonSaturating, Relativistic, Saturating
from genexp.objectives.conditioning import AuxiliaryClassifier, Concatenation, Projection
from genexp.objectives.constraints import GradientNormalisation, NoConstraint, SpectralNormalisation
from genexp.objectives.heads import Cascading
from genexp.objectives.penalties import R1, GradientPenalty, WassersteinDivergence
from genexp.training.plans import Alternating, Extragradient, GradientReversal, Simultaneous, SingleLoss, Unrolled

K = 3
LOSSES = [loss for loss in ALL_LOSSES if not loss.needs_constraint]
CRITICS = [Concatenation(), Concatenation(label_dim=2), Projection(code_dim=6), AuxiliaryClassifier(0.7, 0.4, 1.3)]
GENERATORS = {
    "concatenation": (ConcatenationGenerator, partial(MLPDecoder, width=8)),
    "batchnorm": (BatchNormGenerator, partial(MLPDecoder, width=8, norm="batch")),
}
PLANS = [
    Alternating(critic=2, generator=2, same_latents=True),
    Simultaneous(),
    SingleLoss(),
    Extragradient(),
    Unrolled(2),
]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def parts(loss=None, penalties=None, constraint=None):
    return {
        "shape": (2,),
        "latent_dim": 4,
        "encoder": partial(MLPEncoder, width=8),
        "loss": loss or NonSaturating(),
        "penalties": penalties or {},
        "constraint": constraint or NoConstraint(),
    }


def conditional(
    critic=None, generator="concatenation", plan=None, head=None, num_classes=K, **kwargs
) -> ConditionalGAN:
    torch.manual_seed(0)
    made, decoder = GENERATORS[generator]
    model = ConditionalGAN(
        **parts(**kwargs),
        num_classes=num_classes,
        decoder=decoder,
        critic_conditioning=critic or Projection(code_dim=6),
        generator_conditioning=made,
        head=head,
    )
    model.prepare(make(kwargs.get("loss"), plan=plan).regime)
    model.configure_optimizers()
    return model


def labelled(n=16):
    return {**batch(n), "y": torch.arange(n) % K}


def assert_one_loss_has_both_gradients(model, ratio=0.7):
    data = labelled()
    model.random.begin(0)
    fakes = model.generate(data)
    weights = [*model.critic.parameters(), *model.generator.parameters()]
    joint = model.single_loss(data, fakes, ratio)
    single = torch.autograd.grad(joint, weights, retain_graph=True, materialize_grads=True)
    critic_loss = model.critic_loss(data, fakes.detach())
    of_critic, of_generator = list(model.critic.parameters()), list(model.generator.parameters())
    critic = torch.autograd.grad(critic_loss, of_critic, materialize_grads=True)
    generator = torch.autograd.grad(model.generator_loss(data, fakes), of_generator, materialize_grads=True)
    for got, want in zip(single, [*critic, *(ratio * g for g in generator)], strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    torch.testing.assert_close(joint, critic_loss, rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_single_loss_gradients_equal_the_two_losses(loss):
    assert_one_loss_has_both_gradients(conditional(loss=loss))


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("critic", CRITICS, ids=repr)
@pytest.mark.parametrize("loss", [NonSaturating(), Relativistic()], ids=name_of)
def test_single_loss_gradients_equal_the_two_losses_under_every_conditioning(loss, critic, generator):
    penalties = {"r1": R1(), "wgan_div": WassersteinDivergence()}
    assert_one_loss_has_both_gradients(conditional(critic, generator, loss=loss, penalties=penalties))


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: type(plan).__name__)
@pytest.mark.parametrize("critic", CRITICS[1:], ids=repr)
def test_every_plan_takes_steps_that_move_every_weight(critic, plan):
    model = conditional(critic, plan=plan, penalties={"gp": GradientPenalty()})
    before = [p.clone() for p in model.parameters()]
    for _ in range(2):
        model.step(labelled(16 * plan.sub_batches))
    assert all(p.isfinite().all() for p in model.parameters())
    still = [name for (name, p), old in zip(model.named_parameters(), before, strict=True) if torch.equal(p, old)]
    assert not still


@pytest.mark.parametrize(
    "constraint", [SpectralNormalisation(), GradientNormalisation()], ids=lambda c: type(c).__name__
)
@pytest.mark.parametrize("critic", CRITICS, ids=repr)
def test_constraints_hold_what_is_told_the_class(critic, constraint):
    model = conditional(critic, constraint=constraint)
    model.step(labelled())
    data = labelled()
    scores = model._judge(data["x"], data)[:, 0]
    assert scores.isfinite().all()
    if isinstance(constraint, GradientNormalisation):
        assert scores.abs().max() <= 1


def test_a_cascade_of_scores_stands_before_the_logits():
    model = conditional(AuxiliaryClassifier(), head=Cascading(heads=2))
    data = labelled()
    assert model._judge(data["x"], data).shape == (16, 2 + K)
    assert_one_loss_has_both_gradients(model)


@pytest.mark.parametrize("critic", CRITICS, ids=repr)
def test_data_and_samples_are_scored_each_at_its_own_class(critic):
    model, data = conditional(critic), labelled()
    fakes = torch.randn(16, 2)
    real, fake = model._verdicts(data, fakes)
    torch.testing.assert_close(real, model.critic(data["x"], data["y"]))
    torch.testing.assert_close(fake, model.critic(fakes, data["y"]))


def test_a_penalty_reads_the_slope_of_each_datum_at_its_own_class():
    model, data = conditional(penalties={"r1": R1(weight=1.0)}), labelled()
    squares = []
    for x, y in zip(data["x"], data["y"], strict=True):
        lifted = x[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model.critic(lifted, y[None]).sum(), lifted)
        squares.append(gradient.square().sum())
    fakes = torch.randn(16, 2)
    penalty = model.critic_loss(data, fakes) - conditional().critic_loss(data, fakes)
    torch.testing.assert_close(penalty, 0.5 * torch.stack(squares).mean())


def test_samples_of_a_batch_have_its_classes():
    model, data = conditional(), labelled()
    data["latents"] = torch.randn(16, 4)
    torch.testing.assert_close(model.generate(data), model.generator(data["latents"], data["y"]))
    assert not torch.allclose(model.generate(data), model.generate({**data, "y": data["y"].flip(0)}))


def test_conditional_batchnorm_begins_as_the_plain_gan_to_the_bit():
    torch.manual_seed(0)
    plain = GAN(**parts(), decoder=GENERATORS["batchnorm"][1])
    model = conditional(generator="batchnorm")
    z = torch.randn(6, 4)
    assert torch.equal(model.decode(z), plain.decode(z))


def test_samples_are_of_the_classes_that_were_asked_for_or_of_all_in_turn():
    model = conditional()
    y = torch.tensor([2, 2, 0, 1])
    with model.sampling("raw"):
        z = model.latents(4, seed=3)
        assert torch.equal(model.sample(4, y, seed=3), model.decode(z, y))
        assert torch.equal(model.sample(4, seed=3), model.decode(z, torch.tensor([0, 1, 2, 0])))
        assert not torch.equal(model.sample(4, y, seed=3), model.sample(4, seed=3))
    for wrong in (torch.tensor([0, 1, 2, 3]), torch.tensor([-1, 0, 0, 0]), torch.zeros(3).long(), torch.zeros(4)):
        with pytest.raises(UserError, match="0 to 2"):
            model.sample(4, wrong)


def test_what_is_drawn_part_by_part_has_all_classes_alike():
    model = conditional()
    with model.sampling("raw"):
        drawn = draw(model, 7, seed=1, chunk=2)
        assert torch.equal(drawn, draw(model, 7, seed=1, chunk=2, y=torch.arange(7) % K))
        sheet, columns = class_sheet(model, seed=2)
        assert (columns, len(sheet)) == (K, 8 * K)
    assert torch.equal(labels_for(model, torch.arange(3)), torch.arange(3))
    with (plain := make()).sampling("raw"):
        assert class_sheet(plain, seed=2) is None and labels_for(plain, torch.arange(3)) is None


OPTIONS = [(f"model/{g}_conditioning", o) for g in ("critic", "generator") for o in options(f"model/{g}_conditioning")]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: value)
def test_every_option_of_the_two_groups_builds_and_refuses_a_misspelt_key(group, option):
    plain = compose_train(["model=conditional_gan", f"{group}={option}", "network.decoder.width=2"]).plain
    assert isinstance(build_model(from_plain(plain)), ConditionalGAN)
    plain["model"][group.removeprefix("model/")]["mispelt_key"] = 1
    with pytest.raises(UserError, match="mispelt_key"):
        build_model(from_plain(plain))


def test_impossible_combinations_are_refused():
    with pytest.raises(UserError, match="several classes"):
        conditional(num_classes=0)
    conditional(plan=GradientReversal(), loss=Saturating())
    conditional(AuxiliaryClassifier(fake=0, generator=0), plan=GradientReversal(), loss=Saturating())
    with pytest.raises(UserError, match="plan=single_loss"):
        conditional(AuxiliaryClassifier(), plan=GradientReversal(), loss=Saturating())

"""The adversarial autoencoder: whose loss is what, what the critic is shown, and that codes fill the prior."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from tests.small_gan import make

from genexp.errors import UserError
from genexp.models.aae import AAE, scattered
from genexp.models.priors import Normal, Ring
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import NonSaturating, Relativistic, Saturating
from genexp.objectives.constraints import NoConstraint
from genexp.objectives.heads import Cascading
from genexp.objectives.penalties import R1, TrustRegion
from genexp.training.plans import Alternating, Extragradient, GradientReversal, Simultaneous, SingleLoss

LABELS = {"prior": Ring(modes=3), "classes": 3}


def make_aae(loss=None, penalties=None, plan=None, width=8, **options) -> AAE:
    torch.manual_seed(0)
    model = AAE(
        (4,),
        2,
        decoder=partial(MLPDecoder, width=width),
        encoder=partial(MLPEncoder, width=width),
        critic=partial(MLPEncoder, width=width),
        loss=loss or NonSaturating(),
        penalties=penalties or {},
        constraint=NoConstraint(),
        **options,
    )
    model.prepare(make(Saturating(), plan=plan).regime)
    model.configure_optimizers()
    return model


def batch(n=16):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, generator=generator)
    return {"x": x, "y": torch.arange(n) % 3, "index": torch.arange(n)}


def test_the_losses_are_those_of_the_formula():
    model, data = make_aae(reconstruction=0.7), batch()
    model.random.begin(0)
    z = model.random.normal(16, 2)
    codes = model.encode(data["x"])
    model.random.begin(0)
    real, fake = model.critic(z)[:, 0], model.critic(codes)[:, 0]
    expected = F.softplus(-real).mean() + F.softplus(fake).mean()
    torch.testing.assert_close(model.critic_loss(data, codes.detach()), expected)
    error = (data["x"] - model.reconstruct(data["x"])).square().sum(1).mean()
    torch.testing.assert_close(model.generator_loss(data, codes), F.softplus(-fake).mean() + 0.7 * error)


@pytest.mark.parametrize("loss", [NonSaturating(), Relativistic()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("options", [{}, {**LABELS, "labelled": 0.5, "head": Cascading(2)}], ids=["plain", "labels"])
def test_single_loss_and_simultaneous_walk_the_same_path(loss, options):
    models = [make_aae(loss, plan=plan, **options).double() for plan in (SingleLoss(), Simultaneous())]
    data = {key: value.double() if value.is_floating_point() else value for key, value in batch().items()}
    for model in models:
        step = model.random.begin
        model.random.normal = lambda n, *shape: torch.ones(n, *shape, dtype=torch.float64).cumsum(0) / n
        model.random.uniform = lambda n, *shape: torch.arange(n) / n
        for number in range(4):
            step(number)
            model.step(data)
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_the_critic_moves_no_weight_of_the_autoencoder_and_the_other_way_round():
    model, data = make_aae(penalties={"r1": R1()}), batch()
    model.random.begin(0)
    critic = model.critic_loss(data, model.generate(data).detach())
    assert all(g is None for g in torch.autograd.grad(critic, list(model.generator.parameters()), allow_unused=True))
    model.step(data)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.generator.decoder.parameters())


def test_labels_are_shown_beside_codes_and_draws():
    """Figure 3 of the paper: each labelled draw from the component of its class; the others from all, as one more."""
    model, data = make_aae(labelled=0.5, **LABELS), batch(4096)
    model.random.begin(0)
    drawn = model.with_latents(data)
    known = scattered(data["index"]) < 0.5
    assert 0.48 < known.float().mean() < 0.52
    assert torch.equal(drawn["shown"], torch.where(known, data["y"], 3))
    centres = model.prior(torch.zeros(3, 2), torch.arange(3))
    nearest = torch.cdist(drawn["prior"], centres).argmin(1)
    assert (nearest == data["y"])[known].float().mean() > 0.95
    assert torch.bincount(nearest[~known]).min() > 0.3 * (~known).sum()
    seen = []
    model.critic.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.critic_loss(drawn, model.encode(data["x"]))
    expected = F.one_hot(drawn["shown"], 4).float().repeat(2, 1)
    assert torch.equal(seen[0][:, 2:], expected)


def test_samples_of_a_class_come_from_its_component():
    model = make_aae(labelled=1.0, **LABELS)
    assert model.num_classes == 3 and not model.reads_index
    y = torch.tensor([2, 2, 0, 1])
    z = model.latents(4, seed=0, y=y)
    assert torch.equal(torch.cdist(z, model.prior(torch.zeros(3, 2), torch.arange(3))).argmin(1), y)
    assert torch.equal(model.sample(4, y, seed=0), model.decode(z))
    assert torch.equal(model.sample(4, seed=0), model.decode(model.latents(4, seed=0)))
    assert torch.equal(model.latents(4, seed=0, temperature=0.0), model.prior(torch.zeros(4, 2), torch.arange(4) % 3))


@pytest.mark.parametrize(
    "plan", [Alternating(critic=2), Alternating(generator=2, same_latents=True), Extragradient()], ids=repr
)
def test_a_resumed_step_has_the_same_bits(plan):
    def fresh():
        penalties = {"trust_region": TrustRegion()} if plan == Alternating(generator=2, same_latents=True) else {}
        return make_aae(plan=plan, penalties=penalties, labelled=0.5, **LABELS)

    whole, data = fresh(), batch(16 * plan.sub_batches)
    whole.step(data)
    saved = {"step": 1, **copy.deepcopy(whole.training_state())}
    whole.step(data)
    resumed = fresh()
    resumed.load_training_state(saved)
    resumed.step(data)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_codes_fill_the_prior_and_data_come_back():
    """A square, put linearly into four dimensions: its codes become standard normal, of whatever size it is."""
    torch.manual_seed(0)
    model = make_aae(reconstruction=0.1, width=32, penalties={"r1": R1(weight=0.1)})
    for player in model._players.players.values():
        player.base_lr = 3e-3
        player.optimizer = torch.optim.Adam(player.parameters, lr=3e-3, betas=(0.5, 0.99))
    into = torch.linalg.qr(torch.randn(4, 2)).Q.T
    for _ in range(400):
        model.step({"x": 8 * (torch.rand(128, 2) - 0.5) @ into})
    x = 8 * (torch.rand(4000, 2) - 0.5) @ into
    with torch.no_grad():
        codes = model.encode(x)
        error = (x - model.reconstruct(x)).square().sum(1).mean()
    assert error < 0.05 * x.square().sum(1).mean()
    assert codes.mean(0).abs().max() < 0.25
    assert (torch.cov(codes.T) - torch.eye(2)).abs().max() < 0.4
    drawn = model.sample(4000, seed=0).detach() @ into.T
    assert (drawn.abs() < 4.5).float().mean() > 0.9  # samples lie in the square
    assert (drawn.std(0) - 8 / 12**0.5).abs().max() < 0.7


def test_what_does_not_go_together_is_refused():
    for options, message in (
        ({"labelled": 0.5, "classes": 3}, r"3 classes a component of the prior, which has 1: set prior=ring"),
        ({"labelled": 0.5, "prior": Ring(4)}, "the data have no classes"),
        ({"labelled": 1.5}, "model.labelled=1.5"),
        ({"reconstruction": 0.0}, "leaves no autoencoder"),
    ):
        with pytest.raises(UserError, match=message):
            make_aae(**options)
    with pytest.raises(UserError, match=r"GradientReversal gives the autoencoder the critic's loss alone"):
        make_aae(Saturating(), plan=GradientReversal())
    assert make_aae(prior=Normal()).num_classes is None

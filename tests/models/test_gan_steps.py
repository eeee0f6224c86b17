"""Steps of a GAN under penalties, constraints and plans: what is held, what is remembered, what a resumed one does."""

import copy
import itertools

import pytest
import torch
from tests.small_gan import batch, make
from torch.utils._python_dispatch import TorchDispatchMode

from genexp.objectives.adversarial import NonSaturating, Saturating, Wasserstein
from genexp.objectives.constraints import GradientNormalisation, NoConstraint, SpectralNormalisation, WeightClip
from genexp.objectives.penalties import (
    DRAGAN,
    R1,
    R2,
    Consistency,
    GradientPenalty,
    LeCam,
    Nudge,
    Step,
    TrustRegion,
    WassersteinDivergence,
)
from genexp.training.plans import (
    Alternating,
    Consensus,
    Extragradient,
    GradientReversal,
    LongTurns,
    Simultaneous,
    SingleLoss,
    Unrolled,
)

PENALTIES = {
    "none": {},
    "gp": {"gp": GradientPenalty()},
    "r1, r2": {"r1": R1(interval=2), "r2": R2(interval=3)},
    "wgan_div": {"wgan_div": WassersteinDivergence(power=3.0)},
    "dragan": {"dragan": DRAGAN()},
    "bcr": {"bcr": Consistency(samples=1.0, augment=Nudge())},
    "lecam": {"lecam": LeCam(decay=0.5)},
}
PLANS = [
    Alternating(critic=2),
    Alternating(penalty_steps=True),
    Alternating(long_turns=LongTurns(factor=2, first=1, every=3)),
    Simultaneous(),
    SingleLoss(),
    GradientReversal(),
    Unrolled(steps=2),
    Extragradient(same_batch=False),
    Consensus(),
]
CONSTRAINTS = [NoConstraint(), WeightClip(0.3), SpectralNormalisation(scale=3.0), GradientNormalisation()]
ALGORITHMS = ["torch.optim.Adam", "genexp.training.game_optimizers.OptimisticAdam"]
ALGORITHMS += ["genexp.training.game_optimizers.NegativeMomentum"]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def step(model, n=1):
    for _ in range(n):
        model.step(batch(16 * model.regime.plan.sub_batches))


def state(model):
    """A checkpoint's content, as a file would hold it."""
    return {"step": model.regime.clock.step, **copy.deepcopy(model.training_state())}


def combinations():
    """Every plan with every penalty; constraints and optimizers take turns."""
    turns = itertools.cycle(itertools.product(CONSTRAINTS, ALGORITHMS))
    for plan, (name, penalties) in itertools.product(PLANS, PENALTIES.items()):
        constraint, algorithm = next(turns)
        if name in ("gp", "dragan") and constraint.fixes_slope:
            constraint = NoConstraint()
        yield pytest.param(plan, penalties, constraint, algorithm, id=f"{plan}-{name}".replace(" ", ""))


@pytest.mark.parametrize(("plan", "penalties", "constraint", "algorithm"), combinations())
def test_a_resumed_step_has_the_same_bits(plan, penalties, constraint, algorithm):
    def fresh():
        return make(Saturating(), copy.deepcopy(penalties), plan, constraint, 0.01, algorithm)

    whole = fresh()
    step(whole, 2)
    saved = state(whole)
    step(whole, 3)
    resumed = fresh()
    with torch.no_grad():
        for tensor in (*resumed.parameters(), *resumed.buffers()):
            tensor.zero_()  # nothing of its own may survive
    resumed.load_training_state(saved)
    step(resumed, 3)
    one, other = state(whole), state(resumed)
    assert one["model"].keys() == other["model"].keys()
    for key, value in one["model"].items():
        assert torch.equal(value, other["model"][key]), key
        assert value.isfinite().all(), key
    assert whole.meter.flush() == resumed.meter.flush()
    if "lecam" in penalties:
        assert "terms.remembering.lecam.sums" in one["model"]


class Waits(TorchDispatchMode):
    """Counts the numbers that are read off tensors: on a GPU each would wait for it."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: type(constraint).__name__)
@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_no_step_waits_for_the_device(plan, constraint):
    penalties = {name: p for group in PENALTIES.values() for name, p in copy.deepcopy(group).items()}
    if constraint.fixes_slope:
        penalties = {name: p for name, p in penalties.items() if name not in ("gp", "dragan")}
    model = make(Saturating(), penalties, plan, constraint)
    step(model)
    with Waits() as waits:
        step(model, 5)
        assert waits.count == 0
        torch.ones(1).item()
    assert waits.count == 1


@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_a_look_ahead_leaves_no_trace(plan):
    """The log has one value of each loss for each update, and the running means take each update in once."""
    model = make(Saturating(), {"lecam": LeCam(decay=0.5)}, plan)
    step(model)
    expected = 2 if plan == Alternating(critic=2) else 1
    assert len(model.meter._pending["loss/critic"]) == expected
    assert len(model.meter._pending.get("loss/generator", [])) <= 1
    assert model.penalties["lecam"].mass.item() == pytest.approx(1 - 0.5**expected)


@pytest.mark.parametrize("plan", [Alternating(critic=2), Simultaneous(), SingleLoss(), Extragradient()], ids=repr)
def test_a_clip_before_the_update_leaves_the_last_one_unclipped(plan):
    """As the authors' code: at most the bound when a gradient is taken, bound + lr * gradient afterwards."""
    model = make(Wasserstein(), constraint=WeightClip(0.01, when="before"), plan=plan, lr=1.0)
    widest = []

    def look(module, inputs):
        widest.append(max(p.abs().max().item() for p in module.parameters()))

    step(model)
    model.critic.register_forward_pre_hook(look)
    step(model)
    assert widest[0] <= 0.01
    assert max(p.abs().max().item() for p in model.critic.parameters()) > 0.01


@pytest.mark.parametrize("plan", [Alternating(critic=2), Simultaneous(), Extragradient()], ids=repr)
def test_a_clip_after_the_update_holds_whenever_the_generator_looks(plan):
    model = make(Wasserstein(), constraint=WeightClip(0.01), plan=plan, lr=1.0)
    step(model, 2)
    assert max(p.abs().max().item() for p in model.critic.parameters()) <= 0.01


def test_one_power_iteration_for_each_update_of_the_critic():
    model = make(constraint=SpectralNormalisation(warm_up=1), plan=Alternating(critic=3, generator=2))
    moved = []
    model.critic.layers[1].parametrizations.weight[0].advance = lambda weight: moved.append(len(moved))
    step(model, 2)
    assert len(moved) == 6


def test_both_passes_of_a_single_loss_see_one_spectrally_normalised_critic():
    """S4: the scores of the same samples are the same bits."""
    model = make(constraint=SpectralNormalisation(warm_up=1), plan=SingleLoss())
    fakes = torch.randn(8, 2)
    assert torch.equal(model._judge(fakes, {}), model._judge(fakes, {}))
    value = model.single_loss(batch(), torch.randn(16, 2), 1.0)
    step(model)
    assert value.isfinite()


def test_penalties_send_no_gradient_into_attached_fakes():
    """Plans that differentiate through the fakes get the losses' gradient alone."""
    penalties = {name: p for group in PENALTIES.values() for name, p in group.items()}
    bare, penalised = make(), make(penalties=penalties)
    fakes = torch.randn(16, 2, requires_grad=True)
    one = torch.autograd.grad(bare.critic_loss(batch(), fakes), fakes)[0]
    two = torch.autograd.grad(penalised.critic_loss(batch(), fakes), fakes)[0]
    torch.testing.assert_close(one, two)


def test_penalties_may_take_a_step_of_their_own():
    """Two phases of one Adam, whose rate and decays are those of k / (k + 1) of an update, as in StyleGAN2."""
    plan, rate = Alternating(penalty_steps=True), 0.01
    penalties = {"r1": R1(weight=0.5, interval=2)}
    model, other = (make(penalties=penalties, plan=plan, lr=rate, algorithm="torch.optim.Adam") for _ in range(2))
    share = 2 / 3
    betas = (0.9**share, 0.999**share)
    of_critic = torch.optim.Adam(other.critic.parameters(), lr=rate * share, betas=betas)
    of_generator = torch.optim.Adam(other.generator.parameters(), lr=rate)
    group = model._players.players["critic"].optimizer.param_groups[0]
    assert (group["lr"], *group["betas"]) == pytest.approx((rate * share, *betas))
    assert model._players.players["generator"].optimizer.param_groups[0]["lr"] == rate
    for number in range(4):
        step(model)
        other.random.begin(number)
        data = batch()
        fakes = other.generate(data)
        losses = [other.loss.critic(*(verdict[:, 0] for verdict in other._verdicts(data, fakes.detach())))]
        losses += [2 * 0.5 * R1()(other.critic, data["x"], fakes, Step())] if number % 2 == 0 else []
        for i, loss in enumerate(losses):
            if i:  # at the weights that the first step left
                loss = 2 * 0.5 * R1()(other.critic, data["x"], fakes, Step())
            of_critic.zero_grad()
            loss.backward()
            of_critic.step()
        of_generator.zero_grad()
        other.loss.generator(other.critic(fakes)[:, 0]).backward()
        of_generator.step()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_the_steps_of_penalties_with_several_intervals():
    """Due in steps 0, 2, 3, 4 of six."""
    plan, penalties = Alternating(penalty_steps=True), {"r1": R1(interval=2), "r2": R2(interval=3)}
    assert make(penalties=penalties, plan=plan).steps_per_update("critic") == pytest.approx(1 + 4 / 6)
    assert make(penalties=penalties).steps_per_update("critic") == make(plan=plan).steps_per_update("critic") == 1
    assert make(penalties=penalties, plan=plan).steps_per_update("generator") == 1


def trained(weight, steps=1, **plan):
    """A generator's weights under a trust region."""
    penalties = {} if weight is None else {"trust_region": TrustRegion(weight=weight)}
    model = make(NonSaturating(), penalties, Alternating(generator=2, same_latents=True, **plan), lr=0.05)
    step(model, steps)
    return model


def test_a_trust_region_of_weight_zero_changes_nothing():
    for one, two in zip(trained(None).parameters(), trained(0.0).parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_trust_region_vanishes_with_its_weight():
    """Step for step the plain GAN's weights, but for a difference in proportion to the weight."""
    plain = list(trained(None, steps=4).parameters())
    far = []
    for weight in (1e-3, 1e-5, 1e-13):
        held = trained(weight, steps=4).parameters()
        far.append(max((one - two).abs().max().item() for one, two in zip(plain, held, strict=True)))
    assert far[0] > 0
    assert far[1] == pytest.approx(far[0] / 100, rel=0.05)
    assert far[2] < 1e-12


def test_a_trust_region_is_felt_from_the_second_update_on():
    """V1: its value in the first update is 0 exactly, and its mean over both is logged."""
    values = [value.item() for value in trained(5.0).meter._pending["penalty/trust_region"]]
    assert values[0] == 0
    assert values[1] > 0


def test_a_trust_region_holds_the_samples():
    """V2: many updates on the same latents with a critic that stands still drift less than a fifth as far."""
    drifts = []
    for weight in (0.0, 5.0):
        model = make(
            NonSaturating(),
            {"trust_region": TrustRegion(weight=weight)},
            Alternating(generator=30, same_latents=True),
            lr=0.2,
        )
        model.random.begin(0)
        latents = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        reference = model.generator(latents).detach()
        data = {"x": torch.randn(64, 2), "latents": latents, "reference": reference}
        with torch.no_grad():
            for parameter in model.critic.parameters():
                parameter.mul_(3)
        optimizer = torch.optim.SGD(model.generator.parameters(), lr=0.2)
        for _ in range(40):
            optimizer.zero_grad()
            model.generator_loss(data, model.generate(data)).backward()
            optimizer.step()
        drifts.append((model.generator(latents) - reference).square().mean().sqrt().item())
    assert drifts[1] < 0.2 * drifts[0]


@pytest.mark.parametrize(
    ("name", "constraint"),
    [("gp", NoConstraint()), ("none", SpectralNormalisation()), ("none", GradientNormalisation())],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_compiled_networks_step_as_they_do_uncompiled(name, constraint):
    torch.compiler.reset()
    models = [make(penalties=copy.deepcopy(PENALTIES[name]), constraint=constraint) for _ in range(2)]
    models[1].critic.compile(backend="aot_eager")
    models[1].generator.compile(backend="aot_eager")
    for model in models:
        step(model, 2)
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two)
    torch.compiler.reset()

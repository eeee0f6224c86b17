"""Penalties against closed forms, finite differences and the paper's definitions."""

import math

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.objectives.penalties import DRAGAN, R1, R2, GradientPenalty, Step, WassersteinDivergence
from genexp.training.players import Players

PENALTIES = [
    GradientPenalty(),
    GradientPenalty(target=0.0),
    GradientPenalty(one_sided=True),
    R1(),
    R2(),
    WassersteinDivergence(),
    WassersteinDivergence(power=1.5, points="between"),
    DRAGAN(),
    DRAGAN(noise="centred", target=0.0),
]
STEP = Step()
W = torch.tensor([3.0, 4.0])


def linear(x):
    return x @ W.to(x)


def fixed(n, *shape):
    """Numbers in [0, 1) that are the same at every call."""
    return torch.linspace(0, 0.9, math.prod((n, *shape)), dtype=torch.float64).reshape(n, *shape)


def _critic(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)


def _batches(dtype=torch.float32):
    torch.manual_seed(1)
    return torch.randn(6, 3, dtype=dtype), torch.randn(6, 3, dtype=dtype) - 1


def test_linear_critic_of_slope_5():
    x = torch.randn(7, 2)
    assert GradientPenalty()(linear, x, x, STEP).item() == pytest.approx(16.0, abs=1e-5)
    assert GradientPenalty(one_sided=True)(linear, x, x, STEP).item() == pytest.approx(16.0, abs=1e-5)
    assert GradientPenalty(target=0.0)(linear, x, x, STEP).item() == pytest.approx(25.0, abs=1e-5)
    r1 = R1(weight=10.0)
    assert r1.weight * r1(linear, x, x, STEP).item() == pytest.approx(125.0, abs=1e-4)
    r2 = R2(weight=10.0)
    assert r2.weight * r2(linear, x, x, STEP).item() == pytest.approx(125.0, abs=1e-4)


def test_slopes_below_the_target_are_free_on_one_side_only():
    x = torch.randn(7, 2)
    assert GradientPenalty()(lambda x: linear(x) / 10, x, x, STEP).item() == pytest.approx(0.25, abs=1e-6)
    assert GradientPenalty(one_sided=True)(lambda x: linear(x) / 10, x, x, STEP).item() == 0
    assert GradientPenalty()(lambda x: linear(x) / 5, x, x, STEP).item() == pytest.approx(0, abs=1e-10)


def test_norms_are_per_sample_and_over_all_dimensions():
    """D(x) = |x|²/2 has the gradient x: the penalty is the mean of each sample's own, not of their mean."""
    real, fake = torch.randn(5, 2, 3, 3, dtype=torch.float64), torch.randn(5, 2, 3, 3, dtype=torch.float64)

    def half_square(x):
        return 0.5 * x.flatten(1).square().sum(1)

    norms = real.flatten(1).norm(dim=1)
    torch.testing.assert_close(R1()(half_square, real, fake, STEP), 0.5 * norms.square().mean())
    norms = fake.flatten(1).norm(dim=1)
    torch.testing.assert_close(R2()(half_square, real, fake, STEP), 0.5 * norms.square().mean())
    share = torch.tensor([0.0, 0.25, 0.5, 0.75, 1 - 1e-12], dtype=torch.float64)
    mixed = share[:, None, None, None] * real + (1 - share)[:, None, None, None] * fake
    expected = (mixed.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(GradientPenalty()(half_square, real, fake, Step(lambda n: share[:n])), expected)


def test_interpolation_takes_its_numbers_from_the_model():
    asked = []

    def record(n):
        asked.append(n)
        return torch.zeros(n)

    seen = []

    def critic(x):
        seen.append(x.detach())
        return linear(x)

    real, fake = torch.randn(4, 2), torch.randn(4, 2)
    state = torch.get_rng_state()
    GradientPenalty()(critic, real, fake, Step(record))
    assert asked == [4]
    assert torch.equal(seen[0], fake)  # a share of 0 of the data
    R1()(critic, real, fake, Step(record)), R2()(critic, real, fake, Step(record))
    assert asked == [4]
    assert torch.equal(seen[1], real)
    assert torch.equal(seen[2], fake)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_gradient_with_respect_to_the_critic_is_that_of_finite_differences(penalty):
    critic = _critic(torch.float64)
    real, fake = _batches(torch.float64)
    names = [name for name, _ in critic.named_parameters()]

    def value(*parameters):
        def functional(x):
            return torch.func.functional_call(critic, dict(zip(names, parameters, strict=True)), (x,))

        return penalty(functional, real, fake, Step(fixed))

    # the bias of the last layer has no influence; the others agree with central differences
    parameters = [(3 * p).detach().requires_grad_() for p in critic.parameters()]
    values = torch.autograd.grad(value(*parameters), parameters, allow_unused=True)
    assert values[-1] is None or values[-1].abs().max() == 0
    assert all(v.abs().max() > 0 for v in values[:-1])
    assert torch.autograd.gradcheck(value, parameters)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_gradient_reaches_the_critic_alone(penalty):
    critic, generator = _critic(), nn.Linear(2, 3)
    real = _batches()[0].requires_grad_()
    fake = generator(torch.randn(6, 2))
    penalty(critic, real, fake, STEP).backward()
    assert real.grad is None
    assert all(p.grad is None for p in generator.parameters())
    assert critic[0].weight.grad is not None


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_flat_critic_gives_finite_gradients(penalty):
    critic = _critic()
    nn.init.zeros_(critic[2].weight)
    real, fake = _batches()
    value = penalty(critic, real, fake, STEP)
    value.backward()
    assert value.isfinite()
    assert all(p.grad.isfinite().all() for p in critic.parameters() if p.grad is not None)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_autocast_leaves_the_penalty_in_float32(penalty):
    critic = _critic()
    real, fake = _batches()
    step = Step(fixed)
    expected = penalty(critic, real, fake, step)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert critic(real).dtype == torch.bfloat16
        value = penalty(critic, real, fake, step)
        assert torch.is_autocast_enabled("cpu")
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    gradients = []
    for loss, mixed in ((expected, False), (value, True)):  # and its gradient, as a training step takes it
        optimizer = torch.optim.SGD(critic.parameters(), lr=0.1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            Players({"critic": critic}, {"critic": optimizer}).backward(loss, "critic")
        gradients.append([p.grad for p in critic.parameters() if p.grad is not None])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
    half = penalty(critic, real.bfloat16(), fake.bfloat16(), step)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(expected.item(), rel=0.02)


def test_scores_may_keep_their_last_dimension():
    critic = _critic()
    real, fake = _batches()
    assert torch.equal(R1()(critic, real, fake, STEP), R1()(lambda x: critic(x).squeeze(1), real, fake, STEP))


@pytest.mark.parametrize("interval", [1, 4, 16])
def test_lazy_penalty_weighs_the_same_on_average(interval):
    critic = _critic(torch.float64)
    penalty = R1(weight=0.3, interval=interval)
    batches = [_batches(torch.float64)] * 16
    total = sum(
        penalty.scaled_weight * penalty(critic, real, fake, STEP)
        for step, (real, fake) in enumerate(batches)
        if step % penalty.interval == 0
    )
    every_step = sum(0.3 * R1()(critic, real, fake, STEP) for real, fake in batches)
    torch.testing.assert_close(total, every_step)
    total.backward()
    lazy = critic[0].weight.grad.clone()
    critic.zero_grad()
    every_step.backward()
    torch.testing.assert_close(lazy, critic[0].weight.grad)


def test_wasserstein_slope_under_the_penalty_overshoots_1():
    """Data at 0, samples at theta: the best slope is -(1 + theta / 2 weight)."""
    theta, penalty = 1.0, GradientPenalty()
    slope = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    real, fake = torch.zeros(4, 1, dtype=torch.float64), torch.full((4, 1), theta, dtype=torch.float64)
    optimizer = torch.optim.SGD([slope], lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()

        def critic(x):
            return slope * x[:, 0]

        loss = critic(fake).mean() - critic(real).mean()
        (loss + penalty.weight * penalty(critic, real, fake, STEP)).backward()
        optimizer.step()
    assert slope.item() == pytest.approx(-1.05, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.3, 1.0])
def test_r1_damps_the_dirac_gan_at_the_rate_of_its_linearisation(gamma):
    """Data at 0, one sample at theta, D(x) = phi x: eigenvalues -gamma/2 ± sqrt(gamma²/4 - 1/4) at 0.

    The critic's gradient of gamma/2 E|grad D|² is gamma phi; another factor would change the eigenvalues.
    """
    phi = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    theta = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    penalty = R1(weight=gamma)
    real = torch.zeros(1, 1, dtype=torch.float64)
    fake = theta.reshape(1, 1)
    critic_loss = nn.functional.softplus(-phi * real).mean() + nn.functional.softplus(phi * fake).mean()
    critic_loss = critic_loss + penalty.weight * penalty(lambda x: phi * x[:, 0], real, fake, STEP)
    generator_loss = nn.functional.softplus(-phi * fake).mean()
    flow = [-torch.autograd.grad(critic_loss, phi, create_graph=True)[0]]
    flow.append(-torch.autograd.grad(generator_loss, theta, create_graph=True)[0])
    jacobian = torch.stack(
        [torch.stack(torch.autograd.grad(f, (phi, theta), retain_graph=True, materialize_grads=True)) for f in flow]
    )
    found = torch.linalg.eigvals(jacobian)
    root = torch.tensor(gamma**2 / 4 - 0.25, dtype=torch.complex128).sqrt()
    expected = torch.stack([-gamma / 2 + root, -gamma / 2 - root])
    # a double root (gamma = 1) is known to the square root of the machine's precision only
    torch.testing.assert_close(found.sum(), expected.sum())
    torch.testing.assert_close(found.prod(), expected.prod())
    assert found.real.max() < 0


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: GradientPenalty(weight=-1.0),
            "GradientPenalty: weight=-1.0 is out of range: give 0 or more",
        ),
        (lambda: R1(weight=math.nan), "R1: weight=nan"),
        (lambda: R2(interval=0), "R2: interval=0 is out of range: give a whole number of at least 1"),
        (lambda: GradientPenalty(target=-1.0), "target=-1.0 is out of range"),
        (lambda: WassersteinDivergence(power=1.0), "power=1.0 is out of range: give more than 1"),
        (lambda: WassersteinDivergence(points="all"), "points=all is unknown: choose both or between"),
        (lambda: DRAGAN(noise="white"), "noise=white is unknown: choose one_sided or centred"),
    ],
)
def test_impossible_arguments_end_in_a_sentence(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()


@pytest.mark.parametrize(
    ("weight", "power", "value"), [(2.0, 2.0, 0.0390625), (0.5, 2.0, 0.15625), (2.0, 6.0, 0.2284343)]
)
def test_the_wasserstein_divergence_of_two_uniforms(weight, power, value):
    """U[0, 1] and U[0.5, 1.5], slopes on U[0, 1.5]: the closed form is reached where nothing gains any more."""
    cells, length = 300, 1.5
    edges = torch.arange(cells, dtype=torch.float64) * length / cells
    middles = edges + 0.5 * length / cells
    gap = middles.clamp(0, 1) - (middles - 0.5).clamp(0, 1)  # P - Q
    slopes = -gap.sign() * (gap.abs() * length / (weight * power)) ** (1 / (power - 1))
    slopes.requires_grad_()

    def critic(x):
        return ((x - edges).clamp(0, length / cells) * slopes).sum(1)

    points = middles[:, None]
    penalty = WassersteinDivergence(weight=weight, power=power)
    gain = critic(points[:200]).mean() - critic(points[100:]).mean()  # the midpoint rule is exact for such a critic
    total = gain - penalty.weight * penalty(critic, points[::2], points[1::2], STEP)
    assert total.item() == pytest.approx(value, rel=1e-4)
    (gradient,) = torch.autograd.grad(total, slopes)
    assert gradient.abs().max() < 1e-9


def test_the_neighbourhood_of_dragan():
    torch.manual_seed(0)
    real = torch.randn(4000, 3) * torch.tensor([0.1, 1.0, 3.0]) + 2
    deviation = real.std(correction=0)  # of all entries together
    one_sided = (DRAGAN().near(real, STEP) - real) / deviation
    assert one_sided.min() >= 0 and one_sided.max() <= 0.5
    assert one_sided.mean().item() == pytest.approx(0.5 * 0.5 * 0.5, rel=0.03)
    centred = (DRAGAN(noise="centred").near(real, STEP) - real) / deviation
    assert centred.abs().max() <= 0.5
    assert centred.std().item() == pytest.approx(12**-0.5, rel=0.03)


def test_dragan_on_a_linear_critic():
    x = torch.randn(7, 2)
    assert DRAGAN()(linear, x, x, STEP).item() == pytest.approx(16.0, abs=1e-5)


def test_only_what_asks_for_a_slope_names_it():
    assert GradientPenalty().slope == DRAGAN().slope == 1.0
    others = (GradientPenalty(target=0.0), GradientPenalty(one_sided=True), R1(), R2(), WassersteinDivergence())
    assert all(penalty.slope is None for penalty in others)

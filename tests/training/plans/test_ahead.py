"""Plans that look ahead, against their closed forms on the bilinear game and against autograd on a small GAN."""

import pytest
import torch
from tests.games import DiracGAN, SmallGAN, linear_map

from genexp.errors import UserError
from genexp.training.plans import Consensus, Extragradient, Simultaneous, Unrolled

H = [0.1, 0.7]


def matrix(rows):
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("h", H)
def test_extragradient_on_the_bilinear_game(h):
    """I - h A + h² A² with A a quarter turn: eigenvalues 1 - h² ± ih, inwards for h < 1."""
    found = linear_map(Extragradient(), h)
    torch.testing.assert_close(found, matrix([[1 - h * h, -h], [h, 1 - h * h]]))
    moduli = torch.linalg.eigvals(found).abs()
    torch.testing.assert_close(moduli, torch.full((2,), 1 - h**2 + h**4, dtype=torch.float64).sqrt())
    assert moduli.max() < 1


@pytest.mark.parametrize("kind", ["minimax", "non-saturating"])
def test_extragradient_is_the_textbook_iteration(kind):
    """The iteration z' = z - h F(z), z = z - h F(z'), with F written out."""
    sigmoid = torch.sigmoid

    def field(phi, theta):
        score = phi * theta
        of_generator = -sigmoid(score) * phi if kind == "minimax" else -sigmoid(-score) * phi
        return torch.stack([sigmoid(score) * theta, of_generator])

    z, expected = matrix([-1.0, 1.0]), [matrix([-1.0, 1.0])]
    for _ in range(30):
        z = z - 0.1 * field(*(z - 0.1 * field(*z)))
        expected.append(z)
    torch.testing.assert_close(DiracGAN(kind).trajectory(Extragradient(), 30), torch.stack(expected))


def test_extragradient_with_adam_takes_both_gradients_into_the_moments():
    """ExtraAdam: two updates of one Adam, the weights put back between them."""
    game, other = DiracGAN("minimax"), DiracGAN("minimax")
    states = game.trajectory(Extragradient(), 10, game.players(optimizer=torch.optim.Adam))
    players = other.players(optimizer=torch.optim.Adam)
    for _ in range(10):
        start = other.state
        Simultaneous().run(other, players, [{}])
        fakes = other.generate({})
        gradients = torch.autograd.grad(other.critic_loss({}, fakes.detach()), other.phi["phi"])
        gradients += torch.autograd.grad(other.generator_loss({}, fakes), other.theta["theta"])
        other.put(*start)
        other.phi["phi"].grad, other.theta["theta"].grad = gradients
        players.apply("critic"), players.apply("generator")
    torch.testing.assert_close(states[-1], other.state)


def test_extragradient_may_take_fresh_data_for_the_second_gradient():
    seen = []

    class Game(DiracGAN):
        def critic_loss(self, batch, fakes):
            seen.append(batch["number"])
            return super().critic_loss(batch, fakes)

    game = Game("minimax")
    plan = Extragradient(same_batch=False)
    assert (plan.sub_batches, Extragradient().sub_batches) == (2, 1)
    plan.run(game, game.players(), [{"number": 0}, {"number": 1}])
    assert seen == [0, 1]


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_unrolled_on_the_bilinear_game(steps):
    """phi_k = phi - k eta theta, so the generator descends on -phi theta + k eta theta²."""
    h, eta = 0.1, 0.3
    found = linear_map(Unrolled(steps=steps, step_size=eta), h)
    torch.testing.assert_close(found, matrix([[1, -h], [h, 1 - 2 * h * steps * eta]]))


@pytest.mark.parametrize("steps", [1, 3])
def test_the_unrolled_gradient_is_that_of_autograd_and_of_finite_differences(steps):
    game = SmallGAN()
    eta = 0.4
    of_critic, of_generator = game.gradients(Unrolled(steps=steps, step_size=eta))
    names = [name for name, _ in game.critic.named_parameters()]

    def surrogate():
        fakes = game.generate(game.batch)
        weights = [p.detach().clone().requires_grad_() for p in game.critic.parameters()]

        def score(x):
            return torch.func.functional_call(game.critic, dict(zip(names, weights, strict=True)), (x,))

        softplus = torch.nn.functional.softplus
        for _ in range(steps):
            loss = softplus(score(fakes)).mean() + softplus(-score(game.batch["x"])).mean()
            slopes = torch.autograd.grad(loss, weights, create_graph=True)
            weights = [w - eta * s for w, s in zip(weights, slopes, strict=True)]
        return softplus(-score(fakes)).mean()

    expected = torch.autograd.grad(surrogate(), list(game.generator.parameters()))
    for found, wanted in zip(of_generator, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-14)
    weight = game.generator[0].weight
    with torch.no_grad():
        weight[0, 0] += 1e-5
    above = surrogate()
    with torch.no_grad():
        weight[0, 0] -= 2e-5
    assert ((above - surrogate()) / 2e-5).item() == pytest.approx(of_generator[0][0, 0].item(), rel=1e-6)
    plain_critic, plain_generator = SmallGAN().gradients(Simultaneous())
    assert all(torch.equal(a, b) for a, b in zip(of_critic, plain_critic, strict=True))
    assert not torch.allclose(of_generator[0], plain_generator[0])


@pytest.mark.parametrize("gamma", [0.1, 0.5])
@pytest.mark.parametrize("h", H)
def test_consensus_on_the_bilinear_game(h, gamma):
    """|F|²/2 = (phi² + theta²)/2: eigenvalues 1 - h gamma ± ih."""
    found = linear_map(Consensus(weight=gamma), h)
    torch.testing.assert_close(found, matrix([[1 - h * gamma, -h], [h, 1 - h * gamma]]))


def test_consensus_on_a_quadratic_game():
    """With a quadratic cost gamma phi²/2 the field is (theta + gamma phi, -phi), and |F|²/2 follows by hand."""
    h, cost, weight = 0.1, 0.4, 0.3
    jacobian = matrix([[cost, 1], [-1, 0]])
    expected = torch.eye(2, dtype=torch.float64) - h * (jacobian + weight * jacobian.T @ jacobian)
    torch.testing.assert_close(linear_map(Consensus(weight=weight), h, gamma=cost), expected)


def test_the_consensus_gradient_is_that_of_the_regularised_losses():
    game, weight = SmallGAN(), 0.7
    found = [g for part in game.gradients(Consensus(weight=weight)) for g in part]
    parameters = [*game.critic.parameters(), *game.generator.parameters()]
    n = len(list(game.critic.parameters()))
    fakes = game.generate(game.batch)
    field = [
        *torch.autograd.grad(game.critic_loss(game.batch, fakes), parameters[:n], create_graph=True),
        *torch.autograd.grad(game.generator_loss(game.batch, fakes), parameters[n:], create_graph=True),
    ]
    half_norm = 0.5 * sum(part.square().sum() for part in field)
    expected = torch.autograd.grad(half_norm, parameters, materialize_grads=True)
    for got, own, more in zip(found, field, expected, strict=True):
        torch.testing.assert_close(got, own + weight * more, rtol=0, atol=1e-14)


def test_what_is_looked_ahead_is_a_rehearsal():
    game = SmallGAN()
    game.gradients(Unrolled(steps=2))
    assert game.seen == [("critic", False), ("critic", True), ("critic", True), ("generator", False)]
    game = SmallGAN()
    game.gradients(Extragradient())
    assert game.seen == [("critic", False), ("generator", False), ("critic", True), ("generator", True)]


def test_plans_that_differentiate_twice_take_compiled_networks():
    torch.compiler.reset()
    for plan in (Unrolled(steps=2), Consensus()):
        game, other = SmallGAN(), SmallGAN()
        other.critic.compile(backend="aot_eager")
        other.generator.compile(backend="aot_eager")
        for one, two in zip(game.gradients(plan), other.gradients(plan), strict=True):
            torch.testing.assert_close(one, two)
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Unrolled(steps=-1), "plan.steps=-1"),
        (lambda: Unrolled(steps=2.5), "plan.steps=2.5 is out of range: give a whole number"),
        (lambda: Unrolled(step_size=0.0), "plan.step_size=0.0"),
        (lambda: Consensus(weight=0.0), "plan.weight=0.0"),
    ],
)
def test_impossible_arguments_end_in_a_sentence(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()

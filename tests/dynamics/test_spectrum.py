"""Eigenvalues at the equilibrium against closed forms, to 1e-10."""

import math

import numpy as np
import pytest
import torch
from tests.dynamics.cases import H, arena, double, eigenvalues, same_numbers, turn

from genexp.dynamics import spectrum as spectra
from genexp.dynamics.spectrum import flow_jacobian, leading, step_jacobian

OMEGA = {  # the rotation of the Dirac-GAN: sqrt of f'(0) times the generator's slope at the neutral score
    "wasserstein": 1.0,
    "hinge": 1.0,
    "non_saturating": 0.5,
    "saturating": 0.5,
    "least_squares": 0.5,
}


@pytest.mark.parametrize(("loss", "omega"), OMEGA.items())
def test_the_dirac_gan_turns_and_plain_steps_do_not_damp_it(loss, omega):
    simultaneous, alternating = turn(omega)
    found = eigenvalues(f"loss={loss}", "plan=simultaneous")
    assert same_numbers(found.flow, [1j * omega, -1j * omega])
    assert same_numbers(found.step, np.linalg.eigvals(simultaneous))
    assert found.radius == pytest.approx(math.sqrt(1 + (H * omega) ** 2), abs=1e-10)
    found = eigenvalues(f"loss={loss}", "plan=alternating")
    assert same_numbers(found.step, np.linalg.eigvals(alternating))
    assert found.radius == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("penalty", ["r1", "r2"])
@pytest.mark.parametrize("gamma", [0.3, 0.9, 2.0])
@pytest.mark.parametrize("plan", ["simultaneous", "alternating"])
def test_r1_and_r2_damp_it_by_half_gamma(penalty, gamma, plan):
    """The flow's eigenvalues are -gamma/2 ± sqrt(gamma²/4 - f'(0)²)."""
    found = eigenvalues(f"penalty={penalty}", f"penalty.{penalty}.weight={gamma}", f"plan={plan}")
    root = np.sqrt(complex(gamma**2 / 4 - 0.25))
    assert same_numbers(found.flow, [-gamma / 2 + root, -gamma / 2 - root])
    matrix = turn(0.5, gamma)[0 if plan == "simultaneous" else 1]
    assert same_numbers(found.step, np.linalg.eigvals(matrix))
    assert found.radius < 1


def test_critical_damping_is_at_gamma_one():
    """There the two eigenvalues meet, which costs the differences half of their digits."""
    found = eigenvalues("penalty=r1", "penalty.r1.weight=1.0", "plan=simultaneous")
    assert same_numbers(found.flow, [-0.5, -0.5], tolerance=1e-6)
    assert found.radius == pytest.approx(1 - H / 2, abs=1e-6)


def test_a_zero_centred_penalty_damps_and_a_one_centred_one_has_no_derivative():
    found = eigenvalues("loss=wasserstein", "penalty=gp", "penalty.gp.target=0", "penalty.gp.weight=0.1")
    assert same_numbers(found.flow, [-0.1 + 1j * math.sqrt(0.99), -0.1 - 1j * math.sqrt(0.99)])
    found = eigenvalues("loss=wasserstein", "penalty=gp")
    assert found.step is None
    assert found.flow is None


def test_extragradient_looks_ahead():
    """M = 1 + h J + h² J²: the bilinear game's radius is sqrt((1 - h²)² + h²)."""
    found = eigenvalues("loss=wasserstein", "plan=extragradient")
    flow = np.array([[0, -1], [1, 0]])
    assert same_numbers(found.step, np.linalg.eigvals(np.eye(2) + H * flow + H**2 * flow @ flow))
    assert found.radius == pytest.approx(math.sqrt((1 - H**2) ** 2 + H**2), abs=1e-10)


def test_optimistic_descent_remembers_a_step():
    """Each eigenvalue i of the flow gives the roots of x² - (1 + 2 h i) x + h i."""
    found = eigenvalues("loss=wasserstein", "plan=simultaneous", "optimizer=optimistic_sgd")
    expected = [*np.roots([1, -(1 + 2j * H), 1j * H]), *np.roots([1, -(1 - 2j * H), -1j * H])]
    assert same_numbers(found.step, expected)
    assert found.radius < 1


@pytest.mark.parametrize("beta", [-0.5, -0.2, 0.5])
def test_momentum_under_alternating_updates(beta):
    """Of (phi, theta) and their last moves, by the definition of the method."""
    found = eigenvalues("loss=wasserstein", "optimizer=negative_momentum", f"optimizer.momentum={beta}")
    # state (phi, theta, m, n), m and n the momenta: m' = beta m + theta, phi' = phi - h m', n' = beta n - phi', ...
    critic = np.array([[1, -H, -H * beta, 0], [0, 1, 0, 0], [0, 1, beta, 0], [0, 0, 0, 1]])
    generator = np.array([[1, 0, 0, 0], [H, 1, 0, -H * beta], [0, 0, 1, 0], [-1, 0, 0, beta]])
    assert same_numbers(found.step, np.linalg.eigvals(generator @ critic))
    assert (found.radius < 1) == (beta < 0)


def test_consensus_descends_on_the_square_of_the_field():
    """J - gamma Jᵀ J of the bilinear game: eigenvalues -gamma ± i."""
    found = eigenvalues("loss=wasserstein", "plan=consensus", "plan.weight=0.2")
    assert same_numbers(found.step, [1 + H * (-0.2 + 1j), 1 + H * (-0.2 - 1j)])


def test_a_lazy_penalty_has_a_map_of_several_steps():
    found = eigenvalues("penalty=r1", "penalty.r1.weight=0.8", "penalty.r1.interval=4", "plan=simultaneous")
    bare, penalised = turn(0.5)[0], turn(0.5, 4 * 0.8)[0]
    period = np.linalg.eigvals(np.linalg.matrix_power(bare, 3) @ penalised)
    assert found.radius == pytest.approx(np.abs(period).max() ** 0.25, abs=1e-10)
    root = np.sqrt(complex(0.8**2 / 4 - 0.25))
    assert same_numbers(found.flow, [-0.4 + root, -0.4 - root])


def test_penalties_in_steps_of_their_own_are_part_of_the_flow():
    """The flow is that of the game, whatever steps its terms are taken in."""
    one, other = (eigenvalues("penalty=r1", "penalty.r1.weight=0.3", f"plan.penalty_steps={on}") for on in (0, 1))
    assert same_numbers(one.flow, other.flow, 1e-12) and one.flow.real.max() < -0.1


def test_two_time_scales_pace_the_flow():
    found = eigenvalues("loss=wasserstein", "plan=simultaneous", "optimizer.critic_lr=0.4")
    assert same_numbers(found.flow, [2j, -2j])  # sqrt of the ratio
    assert same_numbers(found.step, [1 + 0.2j, 1 - 0.2j])


def test_adam_has_no_derivative_at_rest_but_gradient_descent_has():
    assert eigenvalues("loss=wasserstein", "optimizer=adam").step is None
    assert eigenvalues("loss=wasserstein", "optimizer=rmsprop").step is None
    assert eigenvalues("loss=wasserstein", "optimizer=sgd").step is not None


def test_data_with_a_spread_damp_a_critic_with_curvature():
    """`scale`: by the nodes' own moments, under the non-saturating loss and under Wasserstein's."""
    game, _ = arena("game=scale")
    square = game.data.square().mean().item()
    fourth = (game.data**4).mean().item()
    matrix = np.array([[-fourth / 2, -square], [square, 0]])
    assert same_numbers(eigenvalues("game=scale").flow, np.linalg.eigvals(matrix))
    found = eigenvalues("game=scale", "loss=wasserstein").flow
    assert same_numbers(found, [2j * square, -2j * square])


def test_two_parameters_of_each_player():
    """`gaussian`: the mean against the slope, the spread against the curvature."""
    game, _ = arena("game=gaussian")
    excess = (game.data**4).mean().item() - 1
    mean, spread = np.roots([1, 0.5, 0.25]), np.roots([1, excess / 2, 1])
    assert same_numbers(eigenvalues("game=gaussian").flow, [*mean, *spread])


def test_the_jacobian_is_that_of_torch_func():
    """Away from the equilibrium too, against the written-out game."""
    game, built = arena("game=gaussian", "loss=saturating", "penalty=r1", "penalty.r1.weight=0.7")
    x, z = game.data[:, 0], game.latents[:, 0]

    def losses(critic, generator):
        def score(y):
            return critic[0] * y + critic[1] * (y**2 - 1)

        real, fake = score(x), score(generator[0] + generator[1] * z)
        adversarial = torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean()
        slope = (critic[0] + 2 * critic[1] * x).square().mean()
        return adversarial + 0.35 * slope, -torch.nn.functional.softplus(fake).mean()

    def field(state):
        critic, generator = state[:2], state[2:]
        return torch.cat(
            [
                -torch.func.grad(lambda c: losses(c, generator)[0])(critic),
                -torch.func.grad(lambda g: losses(critic, g)[1])(generator),
            ]
        )

    state = double([0.3, -0.2, 0.4, 0.8])
    torch.testing.assert_close(built.flow(state), field(state), rtol=0, atol=1e-12)
    torch.testing.assert_close(flow_jacobian(built, state), torch.func.jacrev(field)(state), rtol=0, atol=1e-10)


def test_the_step_is_explicit_euler_under_simultaneous_descent():
    _, built = arena("game=gaussian", "plan=simultaneous", "penalty=r1")
    state = double([0.3, -0.2, 0.4, 0.8])
    jacobian = step_jacobian(built, state)
    torch.testing.assert_close(jacobian, torch.eye(4) + H * flow_jacobian(built, state), rtol=0, atol=1e-9)


def test_leading_eigenvalues_without_the_matrix(monkeypatch):
    """Of a Dirac-GAN in many dimensions with critics' penalties: all pairs are alike, -gamma/2 ± i w."""
    dimensions = 12
    game, built = arena(f"game.phi={[0.1] * dimensions}", f"game.theta={[0.1] * dimensions}", "penalty=r1")
    everything = leading(built, game.equilibrium, 24)
    monkeypatch.setattr(spectra, "DENSE", 4)
    state = game.equilibrium + 0.3 * torch.linspace(-1, 1, 2 * dimensions, dtype=torch.float64)
    exact = np.sort_complex(np.linalg.eigvals(flow_jacobian(built, state).numpy()))[::-1]
    found = leading(built, state, 3)
    assert len(everything) == 24
    assert found.real == pytest.approx(exact.real[:3], abs=1e-6)

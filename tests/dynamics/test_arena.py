"""States go in and out unchanged, and the steps are those of training."""

import pytest
import torch
from tests.dynamics.cases import arena, double

from genexp import catalogue
from genexp.dynamics.arena import neutral_score
from genexp.errors import UserError
from genexp.objectives.adversarial import Hinge, LeastSquares, NonSaturating, Wasserstein


def test_a_state_is_what_the_optimizers_keep_too():
    game, built = arena("optimizer=sgd", "optimizer.momentum=0.9")
    state = built.extended(game.start)
    assert state.tolist() == [1, 1, 0, 0]
    built.write(double([1, 2, 3, 4]))
    assert built.read().tolist() == [1, 2, 3, 4]
    built.write(double([5, 6]))
    assert built.read().tolist() == [5, 6, 3, 4]


@pytest.mark.parametrize("plan", ["simultaneous", "alternating", "extragradient", "unrolled", "consensus"])
@pytest.mark.parametrize("optimizer", ["sgd", "optimistic_sgd", "negative_momentum", "adam"])
def test_a_step_is_a_function_of_the_state(plan, optimizer):
    game, built = arena(f"plan={plan}", f"optimizer={optimizer}", "penalty=r1")
    if optimizer == "adam":  # its count goes on, but a million steps old it changes no digit that is seen here
        assert built.regime.clock.step > 0
    state = built.extended(game.start) + 0.01
    first = built.step(state)
    built.step(first)
    torch.testing.assert_close(built.step(state), first, rtol=0, atol=1e-9)


def test_a_trajectory_is_the_map_again_and_again():
    game, built = arena("penalty=r1", "optimizer=optimistic_sgd", "plan=simultaneous")
    state = built.extended(game.start)
    states = built.trajectory(game.start, 5)
    for k in range(1, 6):
        state = built.step(state)
        assert torch.equal(states[k], state[:2])


def test_a_trajectory_ends_where_the_numbers_overflow():
    _, built = arena("loss=least_squares", "plan=simultaneous", "optimizer.lr=50")
    states = built.trajectory(double([3.0, 3.0]), 400)
    assert len(states) < 401
    assert not states[-1].isfinite().all()


@pytest.mark.parametrize(
    ("loss", "score"),
    [
        (NonSaturating(), 0.0),
        (Hinge(), 0.0),
        (Wasserstein(), 0.0),
        (LeastSquares(), 0.5),
        (LeastSquares(a=-2.0, b=1.0, c=1.0), -0.5),
    ],
)
def test_the_score_of_a_critic_that_tells_nothing(loss, score):
    assert neutral_score(loss) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize("game", catalogue.options("game"))
@pytest.mark.parametrize(
    "loss", ["non_saturating", "saturating", "hinge", "least_squares", "wasserstein", "relativistic"]
)
def test_nothing_moves_at_the_equilibrium(game, loss):
    found, built = arena(f"game={game}", f"loss={loss}", "penalty=[r1,r2]")
    assert built.flow(found.equilibrium).abs().max() < 1e-12
    states = built.trajectory(found.equilibrium, 3)
    torch.testing.assert_close(states[-1], found.equilibrium, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["loss=elbo"], "not the loss of a game"),
        (["loss=pair"], "no critic of pairs"),
        (["plan=minimize"], "updates model"),
        (["plan=alternating", "+plan.long_turns={_target_:genexp.training.plans.LongTurns}"], "long_turns"),
        (["game.theta=[1.0,2.0]"], "as many to both"),
        (["game=scale", "game.nodes=1"], "at least 2"),
        (["game.phi=inf"], "finite"),
        (["penalty=[r1,r2]", "penalty.r1.interval=7", "penalty.r2.interval=16"], "only after 112 steps"),
        (["steps=0"], "steps=0"),
        (["trajectories=0"], "trajectories=0"),
        (["stepz=3"], "did you mean steps"),
        (["game=dirak"], "did you mean dirac"),
        (["game.chi=1"], "game.chi"),
    ],
)
def test_what_is_no_game_is_refused(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        arena(*overrides)

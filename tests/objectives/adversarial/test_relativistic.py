"""Losses that compare, against closed forms, quadratic problems and linear programs on four points."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from tests.objectives.discrete import (
    LOG_RATIO,
    P_COUNTS,
    P,
    Q,
    best_critic,
    critic_loss,
    estimate,
    generator_loss,
)
from tests.objectives.losses import COMPARING, PAIR, name_of

from genexp.errors import UserError
from genexp.objectives.adversarial import Pair, Relativistic
from genexp.objectives.divergences import TABLE

OUTER, SWAPPED = torch.outer(P, Q), torch.outer(Q, P)


def test_logistic_pairs_have_the_log_ratio_up_to_a_constant():
    loss = Relativistic()
    scores = best_critic(loss)
    torch.testing.assert_close(scores - scores.mean(), LOG_RATIO - LOG_RATIO.mean(), rtol=0, atol=1e-5)
    assert critic_loss(loss, LOG_RATIO).item() == pytest.approx(0.5684666048, abs=1e-9)
    assert generator_loss(loss, LOG_RATIO).item() == pytest.approx(1.1332862534, abs=1e-9)
    same = best_critic(loss, P_COUNTS, P_COUNTS)
    assert generator_loss(loss, same, P_COUNTS, P_COUNTS).item() == pytest.approx(math.log(2), abs=1e-12)


@pytest.mark.parametrize("loss", COMPARING, ids=name_of)
def test_only_differences_count_and_the_roles_are_swapped(loss):
    real, fake = torch.randn(2, 9, dtype=torch.float64)
    for value in (loss.critic, lambda r, f: loss.generator(f, r)):
        torch.testing.assert_close(value(real + 7, fake + 7), value(real, fake))
    torch.testing.assert_close(loss.generator(fake, real), loss.critic(fake, real))
    with pytest.raises(ValueError, match="give the scores of real ones"):
        loss.generator(fake)


def test_pairs_are_in_order_and_averages_are_not():
    real, fake = torch.randn(2, 9, dtype=torch.float64)
    one_by_one = torch.stack([Relativistic().critic(r, f) for r, f in zip(real, fake, strict=True)])
    torch.testing.assert_close(Relativistic().critic(real, fake), one_by_one.mean())
    average = Relativistic("average")
    torch.testing.assert_close(average.critic(real, fake.flip(0)), average.critic(real, fake))


def test_average_losses_are_those_of_the_paper():
    """RaSGAN, RaLSGAN and RaHinge, written out."""
    r, f = torch.randn(2, 9, dtype=torch.float64)
    sp, relu = torch.nn.functional.softplus, torch.relu
    written = {
        "logistic": (sp(-(r - f.mean())).mean() + sp(f - r.mean()).mean()) / 2,
        "least_squares": (((r - f.mean()) - 1).square().mean() + ((f - r.mean()) + 1).square().mean()) / 2,
        "hinge": (relu(1 - (r - f.mean())).mean() + relu(1 + (f - r.mean())).mean()) / 2,
    }
    for comparison, value in written.items():
        torch.testing.assert_close(Relativistic("average", comparison).critic(r, f), value)


def linear_program(average: bool) -> tuple[float, torch.Tensor]:
    """The least hinge loss over all tables, with a slack for each term, and the best table."""
    p, q = P.numpy(), Q.numpy()
    terms = [(p[i], np.eye(4)[i] - q) for i in range(4)] + [(q[i], p - np.eye(4)[i]) for i in range(4)]
    if not average:
        terms = [(2 * p[i] * q[j], np.eye(4)[i] - np.eye(4)[j]) for i in range(4) for j in range(4)]
    n = len(terms)
    evidence = np.stack([direction for _, direction in terms])
    costs = np.concatenate([np.zeros(4), [weight / 2 for weight, _ in terms]])
    bounds = [(None, None)] * 4 + [(0, None)] * n
    solved = linprog(costs, A_ub=np.hstack([-evidence, -np.eye(n)]), b_ub=-np.ones(n), bounds=bounds)
    return solved.fun, torch.from_numpy(solved.x[:4])


def quadratic_pairs() -> float:
    """The least mean of (T_i - T_j - 1)² over all tables, by least squares."""
    weights = OUTER.flatten().sqrt().numpy()
    design = np.array([np.eye(4)[i] - np.eye(4)[j] for i in range(4) for j in range(4)])
    solution, *_ = np.linalg.lstsq(design * weights[:, None], weights, rcond=None)
    return float((weights**2 * (design @ solution - 1) ** 2).sum())


def fisher() -> float:
    """Least squares against the average: 1/(2 K + 1) with Fisher's ratio K of the two classes."""
    p, q = P.numpy(), Q.numpy()
    spread = np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)
    ratio = (p - q) @ np.linalg.pinv(spread) @ (p - q)
    return 1 / (2 * ratio + 1)


TRUTHS = {
    ("pairs", "logistic"): math.log(2) - TABLE["js"].between(OUTER.flatten(), SWAPPED.flatten()).item(),
    ("pairs", "least_squares"): quadratic_pairs(),
    ("average", "least_squares"): fisher(),
}


@pytest.mark.parametrize("names", TRUTHS, ids="-".join)
def test_the_trained_critic_reports_the_true_value(names):
    loss = Relativistic(*names)
    scores = best_critic(loss)
    assert critic_loss(loss, scores).item() == pytest.approx(TRUTHS[names], abs=1e-9)
    assert estimate(loss, scores) == pytest.approx(loss.bound.offset - TRUTHS[names], abs=1e-9)


@pytest.mark.parametrize("pairing", ["pairs", "average"])
def test_the_best_hinge_critic_has_the_value_of_the_linear_program(pairing):
    """And training, which stops at the kinks, comes near it from above."""
    loss = Relativistic(pairing, "hinge")
    least, table = linear_program(average=pairing == "average")
    assert critic_loss(loss, table).item() == pytest.approx(least, abs=1e-9)
    assert least - 1e-9 <= critic_loss(loss, best_critic(loss)).item() <= least + 0.02


@pytest.mark.parametrize("loss", COMPARING, ids=name_of)
def test_the_divergence_is_0_without_a_difference_and_positive_with_one(loss):
    assert estimate(loss, best_critic(loss, P_COUNTS, P_COUNTS), P_COUNTS, P_COUNTS) == pytest.approx(0, abs=1e-9)
    assert estimate(loss, best_critic(loss)) > 0.05


@pytest.mark.parametrize("loss", PAIR, ids=name_of)
def test_a_critic_of_pairs_reports_the_divergence_of_pairs(loss):
    divergence = TABLE[loss.bound.name.removesuffix("_of_pairs")]
    truth = divergence.between(OUTER.flatten(), SWAPPED.flatten()).item()
    scores = best_critic(loss)
    assert estimate(loss, scores) == pytest.approx(truth, abs=1e-2 if loss.comparison == "hinge" else 1e-9)
    assert (
        estimate(Relativistic("pairs", loss.comparison), best_critic(Relativistic("pairs", loss.comparison)))
        < truth + 1e-9
    )


def test_logistic_pair_critic_is_the_original_gan_on_pairs():
    loss = Pair()
    scores = best_critic(loss)
    torch.testing.assert_close(scores, (OUTER / SWAPPED).log(), rtol=0, atol=1e-5)
    assert critic_loss(loss, scores).item() == pytest.approx(1.1369332096, abs=1e-9)  # twice the relativistic one
    one, other = torch.randn(2, 9, dtype=torch.float64)
    assert loss.generator(one, other) == loss.critic(one, other)  # the players' roles are swapped
    zero = torch.zeros(4)
    assert loss.critic(zero, zero).item() == pytest.approx(2 * math.log(2))
    linear = torch.randn(9, dtype=torch.float64)  # D(-v) = -D(v)
    torch.testing.assert_close(
        loss.critic(linear, -linear), 2 * Relativistic().critic(linear, torch.zeros_like(linear))
    )


@pytest.mark.parametrize("wrong", [{"pairing": "all"}, {"comparison": "cubic"}])
def test_unknown_names_are_refused(wrong):
    with pytest.raises(UserError, match=f"loss.{next(iter(wrong))}=.* is unknown"):
        Relativistic(**wrong)


RANK = """
import sys, torch, torch.distributed as dist
from genexp.objectives.adversarial import Relativistic
folder, rank = sys.argv[1], int(sys.argv[2])
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
weight = torch.tensor([0.7, -0.3], dtype=torch.float64, requires_grad=True)
x = torch.load(f"{folder}/x.pt")[:, rank * 8 : rank * 8 + 8]
loss = Relativistic("average", "least_squares").critic(*(x @ weight).tanh())
(gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
(second,) = torch.autograd.grad(gradient.square().sum(), weight)
torch.save((loss.detach(), gradient.detach(), second), f"{folder}/{rank}.pt")
dist.barrier()
dist.destroy_process_group()
"""


def test_the_average_is_that_of_all_processes(tmp_path):
    x = torch.randn(2, 16, 2, dtype=torch.float64)
    torch.save(x, tmp_path / "x.pt")
    ranks = [subprocess.Popen([sys.executable, "-c", RANK, str(tmp_path), str(rank)]) for rank in range(2)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    values = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    weight = torch.tensor([0.7, -0.3], dtype=torch.float64, requires_grad=True)
    loss = Relativistic("average", "least_squares").critic(*(x @ weight).tanh())
    (gradient,) = torch.autograd.grad(loss, weight)
    torch.testing.assert_close((values[0][0] + values[1][0]) / 2, loss.detach())
    torch.testing.assert_close((values[0][1] + values[1][1]) / 2, gradient)
    assert not torch.equal(values[0][1], values[1][1])
    assert all(second.isfinite().all() for _, _, second in values)  # and can be differentiated again

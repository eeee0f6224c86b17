import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.training.optimizers import OptimizerFactory


def parameters():
    return [nn.Parameter(torch.ones(3))]


def test_two_learning_rates():
    factory = OptimizerFactory("torch.optim.Adam", lr=1e-3, critic_lr=4e-3, betas=(0.0, 0.9))
    assert factory("generator", parameters()).param_groups[0]["lr"] == 1e-3
    assert factory("critic", parameters()).param_groups[0]["lr"] == 4e-3
    assert factory("critic", parameters()).param_groups[0]["betas"] == (0.0, 0.9)


@pytest.mark.parametrize("algorithm", ["Adam", "RMSprop", "SGD"])
def test_implementations_agree(algorithm):
    results = []
    for implementation in ("loop", "foreach", "auto"):
        (weight,) = weights = parameters()
        optimizer = OptimizerFactory(f"torch.optim.{algorithm}", lr=0.1, implementation=implementation)("x", weights)
        for _ in range(3):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
        results.append(weight.detach())
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"lr": -1.0}, "optimizer.lr"),
        ({"lr": 0.1, "critic_lr": 0.0}, "critic_lr"),
        ({"lr": 0.1, "betaz": (0.5, 0.9)}, "betaz"),
        ({"lr": 0.1, "betas": (0.5, 2.0)}, "beta"),
        ({"lr": 0.1, "implementation": "fast"}, "implementation"),
    ],
)
def test_refusals(arguments, word):
    with pytest.raises(UserError, match=word):
        OptimizerFactory("torch.optim.Adam", **arguments)


def test_rmsprop_has_no_fused_kernel():
    with pytest.raises(UserError, match="no fused"):
        OptimizerFactory("torch.optim.RMSprop", lr=0.1, implementation="fused")


@pytest.mark.parametrize(
    ("algorithm", "options", "corrected"),
    [
        ("Adam", {"betas": (0.0, 0.99)}, {"betas": (0.0, 0.99 ** (16 / 17))}),
        ("RMSprop", {"alpha": 0.99}, {"alpha": 0.99 ** (16 / 17)}),
        ("SGD", {"momentum": 0.5}, {"momentum": 0.5}),
    ],
)
def test_more_steps_for_an_update_share_its_rate_and_its_memory(algorithm, options, corrected):
    """A penalty with a step of its own in every 16th update: c = 16/17."""
    factory = OptimizerFactory(f"torch.optim.{algorithm}", lr=0.1, **options)
    group = factory("critic", parameters(), 17 / 16).param_groups[0]
    assert group["lr"] == pytest.approx(0.1 * 16 / 17)
    assert {name: group[name] for name in corrected} == {k: pytest.approx(v) for k, v in corrected.items()}
    assert factory("critic", parameters()).param_groups[0]["lr"] == 0.1

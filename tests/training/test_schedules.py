import pytest
import torch

from genexp.training.schedules import Constant, Cosine, Linear


def test_cosine_is_torchs():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    for step in range(50):
        assert Cosine()(step, 50) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        reference.step()


def test_ends_and_plateaus():
    for schedule in (Linear(start=0.3, end=0.1), Cosine(start=0.3, end=0.1)):
        assert schedule(0, 100) == schedule(30, 100) == 1.0
        assert schedule(100, 100) == pytest.approx(0.1)
        assert schedule(65, 100) == pytest.approx(0.55)
    assert Constant()(99, 100) == 1.0

"""Inversion: the latents of the model's own samples are found again."""

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.exploration.invert import invert
from genexp.models.base import GenerativeModel


class Decoder(GenerativeModel):
    def __init__(self):
        super().__init__((12,))
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(3, 32), nn.LeakyReLU(0.5), nn.Linear(32, 12), nn.Tanh())
        self.eval()

    def decode(self, z, y=None):
        return self.network(z)


@pytest.fixture
def model():
    return Decoder()


@pytest.fixture
def truth():
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(1))


def starts(restarts, n=5):
    return torch.randn(restarts, n, 3, generator=torch.Generator().manual_seed(2))


def test_samples_of_the_model_are_recovered(model, truth):
    with torch.no_grad():
        x = model.decode(truth)
    found = invert(model, x, starts(4), None, steps=500, lr=0.1)
    assert found.mse.max() < 1e-6
    torch.testing.assert_close(found.recovered, x, atol=3e-3, rtol=0)
    torch.testing.assert_close(found.latents, truth, atol=5e-2, rtol=0)
    with torch.no_grad():
        assert torch.equal(model.decode(found.latents), found.recovered)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_same_starts_find_the_same_and_more_never_find_less(model, truth):
    x = torch.randn(5, 12, generator=torch.Generator().manual_seed(3)).clamp(-1, 1)
    once, again = (invert(model, x, starts(3), None, steps=30, lr=0.1) for _ in range(2))
    assert torch.equal(once.latents, again.latents) and torch.equal(once.mse, again.mse)
    of_one = [invert(model, x, starts(3)[k : k + 1], None, steps=30, lr=0.1).mse for k in range(3)]
    torch.testing.assert_close(once.mse, torch.stack(of_one).amin(dim=0))


def test_data_of_one_batch_do_not_touch_each_other(model):
    x = torch.randn(5, 12, generator=torch.Generator().manual_seed(3)).clamp(-1, 1)
    together = invert(model, x, starts(2), None, steps=30, lr=0.1)
    alone = invert(model, x[3:4], starts(2)[:, 3:4], None, steps=30, lr=0.1)
    torch.testing.assert_close(together.mse[3:4], alone.mse)
    torch.testing.assert_close(together.latents[3:4], alone.latents, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("setting", [{"steps": 0, "lr": 0.1}, {"steps": 3, "lr": 0.0}])
def test_a_search_that_cannot_move_is_refused(model, truth, setting):
    with pytest.raises(UserError, match="lr above 0"):
        invert(model, torch.zeros(5, 12), starts(1), None, **setting)

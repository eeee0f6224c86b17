"""The trust region: nothing at its centre, a mean over dimensions elsewhere."""

import pytest
import torch

from genexp.errors import UserError
from genexp.objectives.penalties import TrustRegion


def test_value_and_gradient_are_zero_at_the_centre():
    fake = torch.randn(4, 1, 3, 3, requires_grad=True)
    value = TrustRegion()(fake, fake.detach().clone())
    value.backward()
    assert value.item() == 0
    assert fake.grad.abs().max() == 0


def test_it_is_a_mean_over_the_batch_and_all_dimensions():
    fake, reference = torch.zeros(4, 3, 8, 8, requires_grad=True), torch.full((4, 3, 8, 8), 0.5, requires_grad=True)
    value = TrustRegion()(fake, reference)
    value.backward()
    assert value.item() == pytest.approx(0.25)
    assert reference.grad is None
    assert TrustRegion()(fake.bfloat16(), reference.bfloat16()).dtype == torch.float32


def test_impossible_arguments_end_in_a_sentence():
    with pytest.raises(UserError, match="TrustRegion: weight=-1.0"):
        TrustRegion(weight=-1.0)

import math

import pytest
import torch

from genexp.errors import UserError
from genexp.objectives.information import LOG_VARIANCES, Codes

CHANNEL = torch.tensor([[3, 1, 0, 0], [0, 2, 2, 0], [1, 0, 0, 3]])
"""How often in four a code (row) is sent as a symbol (column)."""


def enumerated():
    """The codes and the symbols of all pairs, each as often as it comes, and the posterior of each symbol."""
    pairs = [(c, x) for c in range(3) for x in range(4) for _ in range(int(CHANNEL[c, x]))]
    codes, symbols = torch.eye(3, dtype=torch.float64)[[c for c, _ in pairs]], [x for _, x in pairs]
    return codes, symbols, (CHANNEL.double() / CHANNEL.sum(0)).T


def mutual_information() -> float:
    joint = CHANNEL.double() / CHANNEL.sum()
    independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return float(torch.where(joint > 0, joint * (joint / independent).log(), 0.0).sum())


def test_the_bound_is_the_mutual_information_where_the_guess_is_the_posterior():
    codes, symbols, posterior = enumerated()
    categorical, continuous = Codes((3,)).bounds(codes, posterior[symbols].clamp_min(1e-300).log())
    assert categorical.item() == pytest.approx(mutual_information(), abs=1e-12)
    assert continuous == 0


def test_any_other_guess_gives_less():
    codes, symbols, posterior = enumerated()
    torch.manual_seed(0)
    for scale in (0.01, 0.1, 1.0):
        guess = posterior.clamp_min(1e-3).log() + scale * torch.randn_like(posterior)
        assert Codes((3,)).bounds(codes, guess[symbols])[0] < mutual_information()
    assert Codes((3,)).bounds(codes, torch.zeros_like(codes))[0].item() == pytest.approx(0, abs=1e-12)


def test_a_sample_that_tells_its_code_tells_the_logarithm_of_the_values_of_all_parts():
    codes = Codes((4, 6))
    drawn = codes.draw(torch.rand(50, 2, dtype=torch.float64))
    assert codes.bounds(drawn, 1e3 * drawn)[0].item() == pytest.approx(math.log(24), abs=1e-12)


def test_the_bound_of_continuous_parts_in_closed_form():
    """Where the mean is the code and the variance v, it is log 2 less half of log(2 pi v), for each part."""
    codes = Codes((), continuous=2)
    drawn = codes.draw(torch.rand(9, 2, dtype=torch.float64))
    for log_variance in (-1.0, 0.5):
        guess = torch.cat([drawn, torch.full_like(drawn, log_variance)], dim=1)
        expected = 2 * (math.log(2) - 0.5 * (math.log(2 * math.pi) + log_variance))
        assert codes.bounds(drawn, guess)[1].item() == pytest.approx(expected, abs=1e-12)
    sure, surest = (torch.cat([drawn, torch.full_like(drawn, v)], dim=1) for v in (LOG_VARIANCES[0], -50.0))
    assert codes.bounds(drawn, surest)[1] == codes.bounds(drawn, sure)[1]  # no more than so sure


def test_codes_have_their_prior():
    codes = Codes((2, 5), continuous=1)
    drawn = codes.draw(torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0)))
    assert drawn.shape == (20_000, codes.dim) and codes.guess_dim == 9
    assert drawn[:, :2].sum(1).eq(1).all() and drawn[:, 2:7].sum(1).eq(1).all()
    torch.testing.assert_close(drawn[:, :7].mean(0), torch.tensor([0.5] * 2 + [0.2] * 5), atol=0.015, rtol=0)
    assert drawn[:, 7].abs().max() <= 1
    torch.testing.assert_close(drawn[:, 7].var(), torch.tensor(1 / 3), atol=0.01, rtol=0)  # of U[-1, 1]


@pytest.mark.parametrize("wrong", [{"categories": ()}, {"categories": (1,)}, {"continuous": -1}])
def test_what_is_no_code_is_refused(wrong):
    with pytest.raises(UserError, match="no codes"):
        Codes(**wrong)

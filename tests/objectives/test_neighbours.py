import torch

from genexp.objectives.neighbours import nearest


def test_it_is_brute_force_whatever_the_pieces():
    """T6.6, on points so near one another that a product of matrices would confuse them."""
    torch.manual_seed(0)
    queries, points = 100 + 1e-3 * torch.randn(53, 7), 100 + 1e-3 * torch.randn(97, 7)
    exact = (queries.double()[:, None] - points.double()[None]).square().sum(2).argmin(1)
    for entries in (1, 97, 500, 2**24):
        assert torch.equal(nearest(queries, points, entries), exact)

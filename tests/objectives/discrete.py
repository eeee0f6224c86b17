"""Two distributions on four points, whose densities are exact in all pairs of 20 scores each.

A mean over that batch is an expectation, so a table of four free scores is every critic that there is.
"""

import torch

P_COUNTS, Q_COUNTS = torch.tensor([2, 4, 6, 8]), torch.tensor([8, 2, 5, 5])
P, Q = P_COUNTS.double() / 20, Q_COUNTS.double() / 20
LOG_RATIO = (P / Q).log()
PLACES = torch.arange(4, dtype=torch.float64)[:, None]


def pairs(values, p=P_COUNTS, q=Q_COUNTS):
    """Each of 20 real points with each of 20 generated ones."""
    return values.repeat_interleave(p, 0).repeat_interleave(20, 0), values.repeat_interleave(q, 0).repeat(
        20, *[1] * (values.ndim - 1)
    )


def scores_of(loss, table, p=P_COUNTS, q=Q_COUNTS):
    """The scores of all pairs: of a table of points (4,), or of ordered pairs (4, 4) for a loss that scores pairs."""
    if not loss.scores_pairs:
        return pairs(table, p, q)
    real, fake = pairs(torch.arange(4), p, q)
    return table[real, fake], table[fake, real]


def critic_loss(loss, table, p=P_COUNTS, q=Q_COUNTS):
    p, q = (counts * (20 // counts.sum()) for counts in (p, q))
    return loss.between(*pairs(PLACES[: len(p)], p, q)).critic(*scores_of(loss, table, p, q))


def generator_loss(loss, table, p=P_COUNTS, q=Q_COUNTS):
    real, fake = scores_of(loss, table, p, q)
    return loss.generator(fake, real)


def best_critic(loss, p=P_COUNTS, q=Q_COUNTS):
    """The tabular critic that minimises the loss, found by optimisation."""
    shape = (4, 4) if loss.scores_pairs else (4,)
    scores = torch.full(shape, 0.1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [scores], max_iter=500, tolerance_grad=1e-14, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = critic_loss(loss, scores, p, q)
        value.backward()
        return value

    optimizer.step(closure)
    return scores.detach()


def estimate(loss, table, p=P_COUNTS, q=Q_COUNTS):
    """The divergence that a critic reports."""
    return loss.bound(critic_loss(loss, table, p, q)).item()

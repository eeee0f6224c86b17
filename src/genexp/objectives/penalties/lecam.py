"""LeCam regularisation: scores are held near the running mean of the other side's."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.objectives.penalties.base import Critic, CriticPenalty, Step


class LeCam(CriticPenalty, nn.Module):
    r"""Holds the scores of data near what samples have lately scored, and the other way round.

    $$E_p \max(0, D(x) - \alpha_q)^2 + E_q \max(0, \alpha_p - D(G(z)))^2$$

    $\alpha_p$ and $\alpha_q$ are exponential moving averages of the mean scores of data and of samples, over all
    processes, without the bias of their start; they take in a batch before they are used, and they are part of the
    checkpoint. With the loss `Wasserstein` and `one_sided=false` the critic's optimum gives a LeCam (triangular)
    divergence. It is meant for small sets of images.

    Arguments:
        weight: the factor $\lambda$.
        decay: of the moving averages, per update of the critic.
        one_sided: whether a score on the wrong side of its anchor is free, as in the authors' code; false squares the
            whole distance, as in the paper's formula.
        interval: evaluated every so many steps.

    Raises:
        UserError: a number is out of range.

    References:
        Regularizing Generative Adversarial Networks under Limited Data (Tseng et al., 2021),
        https://arxiv.org/abs/2104.03310

    Example:
        >>> lecam = LeCam()
        >>> step = Step(scores=(torch.tensor([2.0, 4.0]), torch.tensor([-1.0, -3.0])))
        >>> lecam.observe(step)
        >>> lecam(None, None, None, step).item()  # (4² + 6²)/2 + (4² + 6²)/2
        52.0
    """

    per_sample: ClassVar[bool] = False
    reads_scores: ClassVar[bool] = True

    def __init__(self, weight: float = 0.3, decay: float = 0.99, one_sided: bool = True, interval: int = 1) -> None:
        nn.Module.__init__(self)
        self.weight, self.decay, self.one_sided, self.interval = weight, decay, one_sided, interval
        super().__post_init__()
        if not 0 <= decay < 1:
            raise UserError(f"LeCam: decay={decay} is out of range: give a number in [0, 1).")
        self.register_buffer("sums", torch.zeros(2))  # of data and of samples
        self.register_buffer("mass", torch.zeros(()))

    sums: Tensor
    mass: Tensor

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Step) -> Tensor:
        """Returns the mean squared distances of the scores from their anchors."""
        of_real, of_fake = _scores(step)
        anchors = self.sums / self.mass
        above, below = of_real - anchors[1], anchors[0] - of_fake  # (B,) each
        if self.one_sided:
            above, below = F.relu(above), F.relu(below)
        return above.square().mean() + below.square().mean()

    @torch.no_grad()
    def observe(self, step: Step) -> None:
        """Takes the mean scores of an update into the moving averages."""
        means = step.mean(torch.stack([scores.detach().mean() for scores in _scores(step)]))
        self.sums.lerp_(means.to(self.sums), 1 - self.decay)
        self.mass.lerp_(torch.ones_like(self.mass), 1 - self.decay)


def _scores(step: Step) -> tuple[Tensor, Tensor]:
    if step.scores is None:
        raise ValueError("this penalty reads the critic's scores: give Step(scores=(real, fake))")
    real, fake = step.scores
    wide = torch.promote_types(real.dtype, torch.float32)
    return real.to(wide), fake.to(wide)

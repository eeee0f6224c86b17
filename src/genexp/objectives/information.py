r"""What samples tell of the codes that they were made from: a lower bound of the mutual information.

For any guess $Q(c \mid x)$ of the code $c$ of a sample $x$,

$$I(c; x) = H(c) - H(c \mid x) \ge H(c) + E \log Q(c \mid x),$$

with equality where the guess is the posterior. The entropy $H(c)$ is that of the codes' prior, known exactly.

References:
    The IM Algorithm: A variational approach to Information Maximization, Barber and Agakov, 2003.
    https://papers.nips.cc/paper/2410-the-im-algorithm-a-variational-approach-to-information-maximization
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.likelihood import gaussian_log_prob

LOG_VARIANCES = (2 * math.log(0.05), 2 * math.log(2.0))
"""A guess of a continuous code is no surer than this, and no less sure: the bound could grow without end otherwise."""


@dataclass(frozen=True)
class Codes:
    """Codes of independent parts: categorical ones, as one-hot vectors, then continuous ones, uniform on [-1, 1].

    Arguments:
        categories: number of values of each categorical part.
        continuous: number of continuous parts.

    Raises:
        UserError: there is no part, or a categorical one has fewer than two values.

    Example:
        >>> codes = Codes(categories=(3,), continuous=1)
        >>> codes.draw(torch.tensor([[0.5, 0.75]])).tolist()
        [[0.0, 1.0, 0.0, 0.5]]
    """

    categories: Sequence[int] = (10,)
    continuous: int = 0

    def __post_init__(self) -> None:
        if any(values < 2 for values in self.categories) or self.continuous < 0 or self.parts == 0:
            raise UserError(
                f"model.categories={list(self.categories)} model.continuous={self.continuous} are no codes: give each "
                "categorical part at least 2 values, and have one part or more."
            )

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self.categories) + self.continuous

    @property
    def dim(self) -> int:
        """Numbers in a code."""
        return sum(self.categories) + self.continuous

    @property
    def guess_dim(self) -> int:
        """Numbers in a guess: logits, then means, then log-variances."""
        return sum(self.categories) + 2 * self.continuous

    def draw(self, uniform: Tensor) -> Tensor:
        """Codes (B, dim) of uniform numbers in [0, 1), (B, parts)."""
        values, rest = uniform.split([len(self.categories), self.continuous], dim=1)
        chosen = [F.one_hot((u * k).long(), k) for u, k in zip(values.unbind(1), self.categories, strict=True)]
        return torch.cat([*(one.to(uniform.dtype) for one in chosen), 2 * rest - 1], dim=1)

    def bounds(self, codes: Tensor, guesses: Tensor) -> tuple[Tensor, Tensor]:
        """Lower bounds of the information about all categorical and about all continuous parts.

        Arguments:
            codes: (B, dim).
            guesses: (B, guess_dim).

        Returns:
            two scalars in nats, in float32 at least; zero where there is no such part.
        """
        guesses = guesses.to(torch.promote_types(guesses.dtype, torch.float32))
        *one_hot, uniform = codes.split([*self.categories, self.continuous], dim=1)
        *logits, mean, log_variance = guesses.split([*self.categories, self.continuous, self.continuous], dim=1)
        told = [
            math.log(k) + (chosen * F.log_softmax(guessed, dim=1)).sum(1).mean()
            for k, chosen, guessed in zip(self.categories, one_hot, logits, strict=True)
        ]
        of_uniform = gaussian_log_prob(uniform, mean, log_variance.clamp(*LOG_VARIANCES)).mean()
        nothing = guesses.new_zeros(())
        return sum(told, nothing), self.continuous * math.log(2) + of_uniform if self.continuous else nothing

"""All penalties of a game together."""

import math
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from genexp.objectives.penalties.base import Critic, CriticPenalty, GeneratorPenalty, Penalty, Step

Record = Callable[[str, Tensor], None]


class Terms(nn.Module):
    """The penalties of a game by name, those that are due added up; what they remember is in the state dict.

    Arguments:
        penalties: penalties by their names.
    """

    def __init__(self, penalties: Mapping[str, Penalty]) -> None:
        super().__init__()
        self.remembering = nn.ModuleDict({name: p for name, p in penalties.items() if isinstance(p, nn.Module)})
        self.of_critic = {name: p for name, p in penalties.items() if isinstance(p, CriticPenalty)}
        self.reads_scores = any(penalty.reads_scores for penalty in self.of_critic.values())
        self.of_generator = {name: p for name, p in penalties.items() if isinstance(p, GeneratorPenalty)}

    def critic(
        self, number: int, critic: Critic, real: Tensor, fake: Tensor, step: Step, record: Record
    ) -> Tensor | float:
        """The weighted sum of the critic's penalties that are due.

        Arguments:
            number: the number of the step.
            critic: maps data (B, ...) to raw scores (B,).
            real: data (B, ...).
            fake: samples (B, ...).
            step: see `Step`.
            record: takes the name and the unweighted value of each.
        """
        total: Tensor | float = 0.0
        for name, penalty in self.of_critic.items():
            if penalty.due(number):
                value = penalty(critic, real, fake, step)
                record(f"penalty/{name}", value)
                total = total + penalty.scaled_weight * value
        return total

    @property
    def share_of_steps(self) -> float:
        """The share of the steps in which some penalty of the critic is due."""
        intervals = [penalty.interval for penalty in self.of_critic.values()]
        period = math.lcm(*intervals) if intervals else 1
        due = sum(any(step % interval == 0 for interval in intervals) for step in range(period))
        return due / period

    def observe(self, step: Step) -> None:
        """Let those that remember see the scores of an update."""
        for penalty in self.of_critic.values():
            penalty.observe(step)

    def generator(self, number: int, fake: Tensor, reference: Tensor | None, record: Record) -> Tensor | float:
        """The weighted sum of the generator's penalties that are due.

        Arguments:
            number: the number of the step.
            fake: samples (B, ...).
            reference: samples (B, ...) of the same latents before the first update; None if the plan makes one alone.
            record: takes the name and the unweighted value of each.
        """
        total: Tensor | float = 0.0
        for name, penalty in self.of_generator.items():
            if reference is not None and penalty.due(number):
                value = penalty(fake, reference)
                record(f"penalty/{name}", value)
                total = total + penalty.scaled_weight * value
        return total

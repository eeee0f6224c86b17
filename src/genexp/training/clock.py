"""The one clock: everything that happens "every n steps" reads it."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Counts steps; a *step* is one execution of the update plan on one batch.

    Lightning counts optimizer calls instead, so that with two optimizers its `global_step` runs twice as fast as the
    batches. Logging, checkpoints, schedules, EMA, `max_steps`, the images seen and every logger's x-axis read this
    clock.

    Arguments:
        max_steps: the step at which training ends.
        images_per_step: real samples that a step consumes, over all ranks.
        intervals: the numbers of steps after which something happens (a log row, a checkpoint, a score).
        step: steps done so far.

    Example:
        >>> clock = Clock(max_steps=10, images_per_step=64, intervals=(4,))
        >>> [clock.tick() or clock.at_event() for _ in range(5)]
        [False, False, False, True, False]
        >>> clock.images
        320
    """

    max_steps: int
    images_per_step: int
    intervals: tuple[int, ...] = field(default=())
    step: int = 0

    @property
    def images(self) -> int:
        """Real samples seen so far."""
        return self.step * self.images_per_step

    @property
    def finished(self) -> bool:
        """Whether the last step is done."""
        return self.step >= self.max_steps

    def tick(self) -> None:
        """Count one step."""
        self.step += 1

    def due(self, interval: int) -> bool:
        """Whether something that happens every `interval` steps (0: only at the end) happens now."""
        return self.finished or (interval > 0 and self.step % interval == 0)

    def at_event(self) -> bool:
        """Whether anything happens now, so that the inner loop has to hand over."""
        return self.finished or any(self.step % interval == 0 for interval in self.intervals)

    def watch(self, intervals: Iterable[int]) -> None:
        """Stop the inner loop at the multiples of these intervals too (0 is ignored)."""
        self.intervals = tuple(sorted({*self.intervals, *(interval for interval in intervals if interval > 0)}))

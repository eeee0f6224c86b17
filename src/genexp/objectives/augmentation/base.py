"""What the critic sees of an image: itself, or a random change of it."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.objectives.augmentation.transforms import Transform

Uniform = Callable[..., Tensor]


class NoAugmentation(nn.Module):
    """The critic sees what there is."""

    def check(self, shape: Sequence[int]) -> None:
        """Any data will do."""

    def forward(self, x: Tensor, uniform: Uniform) -> Tensor:
        """Returns `x` itself; no number is drawn."""
        return x

    def observe(self, real: Tensor, images: int, mean: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Nothing to learn from the scores of real data."""
        return {}


class RandomAugmentation(NoAugmentation):
    r"""Shows the critic random changes of images, of data and samples alike, in its own loss and in the generator's.

    The gradient of the generator's loss goes through the changes. The generator learns to draw $q$ with
    $T_\# q = T_\# p$, which is $q = p$ if the change can be undone in distribution: a rectangle that is always cut out
    somewhere, or a turn that happens with probability $p < 1$.

    Arguments:
        transforms: the changes by name, in this order; None leaves one out.
        probability: of each change, for each image.

    Raises:
        UserError: there is no transform, or the probability is not in [0, 1].

    References:
        Differentiable Augmentation for Data-Efficient GAN Training (Zhao et al., 2020),
        https://arxiv.org/abs/2006.10738

    Example:
        >>> from genexp.objectives.augmentation import Mirror
        >>> RandomAugmentation({"mirror": Mirror()})(torch.zeros(2, 1, 4, 4), torch.rand).shape
        torch.Size([2, 1, 4, 4])
    """

    def __init__(self, transforms: Mapping[str, Transform | None], probability: float = 1.0) -> None:
        super().__init__()
        self.transforms = {name: transform for name, transform in transforms.items() if transform is not None}
        if not self.transforms:
            raise UserError("augment.transforms is empty: name a transform, or set augment=none.")
        if not 0 <= probability <= 1:
            raise UserError(f"augment.probability={probability} is out of range: give a number in [0, 1].")
        self.register_buffer("probability", torch.tensor(float(probability)), persistent=False)

    probability: Tensor

    def check(self, shape: Sequence[int]) -> None:
        """Raises UserError if the data is not images, or not of a shape that the transforms can change."""
        if len(shape) != 3:
            raise UserError(f"Augmentation changes images, but the data has shape {tuple(shape)}: set augment=none.")
        for transform in self.transforms.values():
            transform.check(tuple(shape))

    def forward(self, x: Tensor, uniform: Uniform) -> Tensor:
        """Maps images (B, C, H, W) to images of the same shape, with numbers from `uniform(n, *shape)`."""
        needed = sum(transform.draws + 1 for transform in self.transforms.values())
        draws = uniform(len(x), needed).to(x.device)  # (B, numbers): for each transform whether, and how
        for transform in self.transforms.values():
            u, draws = draws[:, : transform.draws + 1], draws[:, transform.draws + 1 :]
            x = torch.where((u[:, 0] < self.probability)[:, None, None, None], transform(x, u[:, 1:]).to(x.dtype), x)
        return x


class AdaptiveAugmentation(RandomAugmentation):
    r"""Changes images as often as the critic's certainty about data asks for.

    $r = E\,\mathrm{sign}(D(x))$ on data is 0 where the critic is at a loss and 1 where it knows all of them, as it does
    when it has learned them by heart. Every `interval` updates of the critic the probability $p$ of each change
    moves by images seen / `images_to_one` towards more if $r$ is above the target and towards less if it is below.
    $r$ is the mean over those updates and over all processes; $p$ and what is added up are in the checkpoint.

    Arguments:
        transforms: the changes by name, in this order; None leaves one out.
        target: the $r$ that is aimed at.
        images_to_one: images of data in which $p$ can go from 0 to 1.
        interval: updates of the critic between two moves.
        limit: the largest $p$: a change that always happens cannot be told from the data.

    Raises:
        UserError: a number is out of range, or there is no transform.

    References:
        Training Generative Adversarial Networks with Limited Data (Karras et al., 2020),
        https://arxiv.org/abs/2006.06676

    Example:
        >>> from genexp.objectives.augmentation import Mirror
        >>> ada = AdaptiveAugmentation({"mirror": Mirror()}, images_to_one=100, interval=1)
        >>> round(ada.observe(torch.ones(10), 10, lambda mean: mean)["augment/probability"].item(), 6)
        0.1
    """

    def __init__(
        self,
        transforms: Mapping[str, Transform | None],
        target: float = 0.6,
        images_to_one: int = 500_000,
        interval: int = 4,
        limit: float = 0.8,
    ) -> None:
        super().__init__(transforms)
        if not -1 <= target <= 1 or images_to_one < 1 or interval < 1 or not 0 < limit <= 1:
            raise UserError(
                f"augment.target={target}, augment.images_to_one={images_to_one}, augment.interval={interval} or "
                f"augment.limit={limit} is out of range: give a target in [-1, 1], counts of at least 1 and a limit "
                "in (0, 1]."
            )
        self.target, self.images_to_one, self.interval, self.limit = target, images_to_one, interval, limit
        self.register_buffer("probability", torch.zeros(()))  # of each change; this one is saved
        self.register_buffer("seen", torch.zeros(3))  # since the last move: sum of r, updates, images

    seen: Tensor

    @torch.no_grad()
    def observe(self, real: Tensor, images: int, mean: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Takes in the scores of data in an update of the critic, without waiting for the device.

        Arguments:
            real: scores (B,).
            images: how many data all processes together have scored.
            mean: the mean of a tensor over the processes.

        Returns:
            what to log: $r$ of this update and the probability.
        """
        certainty = mean(real.detach().sign().mean().to(self.seen))
        self.seen += torch.stack([certainty, torch.ones_like(certainty), torch.full_like(certainty, images)])
        due = self.seen[1] >= self.interval
        direction = (self.seen[0] / self.seen[1] - self.target).sign()
        moved = (self.probability + direction * self.seen[2] / self.images_to_one).clamp(0, self.limit)
        self.probability.copy_(torch.where(due, moved, self.probability))
        self.seen *= ~due
        return {"augment/certainty": certainty, "augment/probability": self.probability.clone()}

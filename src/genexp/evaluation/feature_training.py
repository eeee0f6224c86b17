"""Training the feature network: a small classifier, or a judge of orientation where there are no labels.

The training draws from its own generator and runs on one thread: on one machine with one build of torch it
gives the same bits every time. Another processor may add in another order; its features differ a little and
its sha256 entirely.

References:
    Unsupervised Representation Learning by Predicting Image Rotations, Gidaris, Singh and Komodakis, 2018,
    for images without labels. https://arxiv.org/abs/1803.07728
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.evaluation.pixels import SplitImages

ORIENTATIONS = 4
"""How many orientations an unlabelled image is shown in."""


@dataclass(frozen=True)
class TrainingSettings:
    """How the features are trained; a part of the key of their cache.

    Attributes:
        dim: number of features. 8 and 16 hide real defects of generators, 128 has a high floor.
        epochs: passes over the training set.
        max_steps: an upper limit, which bounds the time for large sets.
        batch_size: images per step.
        lr: the peak of the one-cycle schedule of AdamW.
        noise: standard deviation of the Gaussian noise added to the pixels in [0, 1].
        seed: of the initial weights, the order and the noise.
    """

    dim: int = 32
    epochs: int = 30
    max_steps: int = 1500
    batch_size: int = 64
    lr: float = 2e-3
    noise: float = 0.05
    seed: int = 0


class FeatureNet(nn.Module):
    """Convolutions of stride 2 down to 4 × 4 or less, then `dim` features and a linear classifier.

    8 × 8 digits: conv 16, conv 32 (stride 2), conv 32 (stride 2), linear 32, linear 10; 18 506 parameters.
    GELU throughout: with ReLU half of the features are constant and their covariance is singular.

    Arguments:
        shape: of an image, (C, H, W).
        num_classes: outputs of the classifier; 0 makes it one of `ORIENTATIONS`.
        dim: number of features.
        generator: draws the initial weights; None leaves them unset, to be loaded.
    """

    def __init__(
        self, shape: Sequence[int], num_classes: int, dim: int = 32, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = [_conv(channels, 16, stride=1), nn.GELU()]
        channels, stages = 16, 0
        while stages < 2 or max(height, width) > 4:
            wider = 32 if stages < 2 else 64
            layers += [_conv(channels, wider, stride=2), nn.GELU()]
            channels, height, width = wider, math.ceil(height / 2), math.ceil(width / 2)
            stages += 1
        flat = nn.utils.skip_init(nn.Linear, channels * height * width, dim, dtype=torch.float32)
        self.body = nn.Sequential(*layers, nn.Flatten(), flat, nn.GELU())
        outputs = num_classes or ORIENTATIONS
        self.head = nn.utils.skip_init(nn.Linear, dim, outputs, dtype=torch.float32)
        if generator is not None:
            self._initialise(generator)

    def _initialise(self, generator: torch.Generator) -> None:
        """Uniform in ± 1/√fan_in, weights and biases."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                bound = 1.0 / math.sqrt(layer.weight[0].numel())
                for parameter in layer.parameters():
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def features(self, x: Tensor) -> Tensor:
        """Features (B, dim), not yet z-scored, of images (B, C, H, W) in [-1, 1]."""
        return self.body((x + 1) / 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W) in [-1, 1]."""
        return self.head(self.features(x))


@dataclass(frozen=True)
class Trained:
    """A network, and the mean and the scale (dim,) of its features on the training set.

    `num_classes` is that of the data: 0 if the network only knows orientations.
    """

    net: FeatureNet
    mean: Tensor
    scale: Tensor
    num_classes: int


def train_features(x: Tensor | SplitImages, y: Tensor, num_classes: int, settings: TrainingSettings) -> Trained:
    """Train a `FeatureNet` with AdamW on one thread, without touching the global generators.

    Arguments:
        x: images (N, C, H, W) in [-1, 1], or a split of which only a batch at a time is made floats.
        y: labels (N,); not read if `num_classes` is 0: then the network learns to tell orientations.
        num_classes: the number of classes of the data.
        settings: how to train.

    Raises:
        UserError: if there are too few images for one batch.
    """
    if len(x) < settings.batch_size:
        raise UserError(f"Features need at least {settings.batch_size} training images, and there are {len(x)}.")
    with exact_arithmetic(), torch.inference_mode(False), torch.enable_grad():
        net = _trained_net(x, y, num_classes, settings)
    with exact_arithmetic(), torch.no_grad():
        features = torch.cat([net.features(batch) for batch in x.split(512)]).double()
    scale = features.std(dim=0)
    # A feature that hardly varies would be blown up by its own z-score: it keeps a small voice instead.
    scale = scale.clamp(min=1e-2 * float(scale.max()))
    return Trained(net, features.mean(dim=0).float(), scale.float(), num_classes)


def _trained_net(x: Tensor | SplitImages, y: Tensor, num_classes: int, settings: TrainingSettings) -> FeatureNet:
    generator = torch.Generator().manual_seed(settings.seed)
    net = FeatureNet(x.shape[1:], num_classes, settings.dim, generator)
    per_epoch = len(x) // settings.batch_size
    steps = min(settings.max_steps, settings.epochs * per_epoch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=steps)
    turn = _orientations(x.shape[-2] == x.shape[-1])
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(x), generator=generator)
        start = step % per_epoch * settings.batch_size
        rows = order[start : start + settings.batch_size]
        images, labels = (x[rows], y[rows]) if num_classes else turn(x[rows], generator)
        noise = torch.randn(images.shape, generator=generator, dtype=images.dtype)
        loss = F.cross_entropy(net(images + 2 * settings.noise * noise), labels)  # [-1, 1] is 2 wide
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def _conv(channels: int, out: int, stride: int) -> nn.Module:
    return nn.utils.skip_init(nn.Conv2d, channels, out, kernel_size=3, stride=stride, padding=1, dtype=torch.float32)


def _orientations(square: bool) -> Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]:
    """Shows each image in a random orientation and says which: quarter turns, or flips if not square."""

    def turned(x: Tensor, orientation: int) -> Tensor:
        if square:
            return torch.rot90(x, orientation, dims=(-2, -1))
        return x.flip([dim for bit, dim in ((1, -1), (2, -2)) if orientation & bit])

    def turn(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        labels = torch.randint(ORIENTATIONS, (len(x),), generator=generator)
        views = torch.stack([turned(x, orientation) for orientation in range(ORIENTATIONS)])
        return views[labels, torch.arange(len(x))], labels

    return turn


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Full float32 on one thread, so that sums have one order, whatever the training around it has set."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)

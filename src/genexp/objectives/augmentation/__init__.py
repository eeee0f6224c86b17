"""Augmentation on the critic's side: random changes of data and samples before the critic sees them."""

from genexp.objectives.augmentation.base import AdaptiveAugmentation, NoAugmentation, RandomAugmentation
from genexp.objectives.augmentation.transforms import Colour, Cutout, Mirror, QuarterTurns, Transform, Translation

__all__ = [
    "AdaptiveAugmentation",
    "RandomAugmentation",
    "Colour",
    "Cutout",
    "Mirror",
    "NoAugmentation",
    "QuarterTurns",
    "Transform",
    "Translation",
]

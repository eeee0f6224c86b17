"""Frozen features: the network in which generated and real images are compared.

A small convolutional classifier of 32 features is trained once on a data set's `train` split and never again:
another seed of the same network moves the Fréchet distance of the same samples by 4 to 17 %, so the file's
sha256 is part of every score. The digits' network is in the package; those of other sets are trained on first
use and cached.
"""

import hashlib
import json
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from genexp import atomic
from genexp.data.module import DataModule
from genexp.errors import UserError
from genexp.evaluation.feature_training import (
    FeatureNet,
    Trained,
    TrainingSettings,
    exact_arithmetic,
    train_features,
)
from genexp.evaluation.pixels import SplitImages

Array = NDArray[np.float64]

VERSION = 1
"""Raised when the network or its training changes: features of another version are other features."""

PACKAGED = Path(__file__).parent / "weights" / "digits_cnn32.safetensors"
PACKAGED_SHA256 = "525d45dab6ec29e03760c2f37ac7bd181afaee62a707ca88dc92790443729e09"
"""The sha256 of the packaged file; written by `benchmarks/train_digits_features.py`."""


class Extractor(ABC):
    """Features in which images are compared; write `look` for networks of your own.

    Attributes:
        name: what the fingerprint calls it.
        version: raised by its author when the features change.
        dim: the number of features d.
        sha256: of the weights.
    """

    name: str
    version: int
    dim: int
    sha256: str

    @abstractmethod
    def look(self, x: Tensor) -> tuple[Array, NDArray[np.int64] | None]:
        """Features (N, d) and classes (N,) of images (N, C, H, W) in [-1, 1].

        Both in one pass, without gradients, in eval mode and whatever the batch that the images come in; None
        for the classes if the extractor knows none.
        """

    def __call__(self, x: Tensor) -> Array:
        """The features (N, d) in float64 of images (N, C, H, W) in [-1, 1]."""
        return self.look(x)[0]

    def classify(self, x: Tensor) -> NDArray[np.int64] | None:
        """The classes (N,) of images (N, C, H, W) in [-1, 1], if the extractor knows any."""
        return self.look(x)[1]


class FrozenFeatures(Extractor):
    """A trained `FeatureNet` that only looks.

    It computes on one thread in full float32, whatever the precision of the training, and always in batches
    of one size, the last filled up with zeros: the features of an image do not depend on what comes with it.
    It is no `nn.Module`, so that no model can adopt its weights or set its mode.

    Arguments:
        name: what the fingerprint calls it.
        trained: the network, and the mean and standard deviation of its features on the training set.
        sha256: of the file of the weights.
        batch_size: how many images are looked at at once.
    """

    version = VERSION

    def __init__(self, name: str, trained: Trained, sha256: str, batch_size: int = 512) -> None:
        self.name, self.sha256, self.batch_size = name, sha256, batch_size
        self._net = trained.net.eval().requires_grad_(False)
        self._mean, self._scale = trained.mean.double(), trained.scale.double()
        self._has_classes = trained.num_classes > 0
        self.dim = len(trained.mean)

    def look(self, x: Tensor) -> tuple[Array, NDArray[np.int64] | None]:
        """Features (N, d), z-scored by the training set, and classes (N,) of images (N, C, H, W)."""
        with exact_arithmetic(), torch.no_grad():
            filled = F.pad(x.detach().cpu().float(), (0, 0) * 3 + (0, -len(x) % self.batch_size))
            raw = torch.cat([self._net.features(batch) for batch in filled.split(self.batch_size)])[: len(x)]
            classes = self._net.head(raw).argmax(dim=1).numpy() if self._has_classes else None
        return ((raw.double() - self._mean) / self._scale).numpy(), classes


def extractor_for(
    data: DataModule, cache_dir: str | Path | None, settings: TrainingSettings | None = None
) -> FrozenFeatures:
    """The features of an image set: the packaged ones, cached ones, or newly trained ones.

    The cache is keyed by the data's content, the shape of the images, the version of the network and the
    settings, so that changed data never meets the old features.

    Arguments:
        data: an image set; only its `train` split is looked at.
        cache_dir: where trained features are kept; None trains again every time.
        settings: how they are trained; None is the default, which the packaged ones were trained with.

    Raises:
        UserError: if the data are no images, or the packaged file is damaged.
    """
    settings = settings or TrainingSettings()
    if len(data.shape) != 3:
        raise UserError(f"{data.name} has shape {tuple(data.shape)}, not (C, H, W): choose evaluation=points for it.")
    key = feature_key(data, settings)
    packaged = PACKAGED.read_bytes() if PACKAGED.is_file() else b""
    if read_key(packaged) == key:
        if hashlib.sha256(packaged).hexdigest() != PACKAGED_SHA256:
            raise UserError(f"{PACKAGED} is damaged: install genexp again.")
        return _from_bytes("digits_cnn32", packaged)
    name = f"{data.name}_cnn{settings.dim}"
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = Path(cache_dir) / "features" / f"{name}-{digest}.safetensors" if cache_dir is not None else None
    if path is not None and path.is_file():
        content = path.read_bytes()
        with suppress(SafetensorError, RuntimeError, KeyError):  # a damaged file is trained again
            if read_key(content) == key:
                return _from_bytes(name, content)
    print(f"genexp: training the feature network of {data.name} once, about a minute", file=sys.stderr, flush=True)
    images = SplitImages(data, "train")
    content = to_bytes(train_features(images, images.labels, data.num_classes, settings), key)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, content)
    return _from_bytes(name, content)


def feature_key(data: DataModule, settings: TrainingSettings) -> dict[str, Any]:
    """Everything that the trained features depend on."""
    return {
        "content": data.content_id(),
        "shape": [int(size) for size in data.shape],
        "num_classes": int(data.num_classes),
        "version": VERSION,
        **asdict(settings),
    }


def to_bytes(trained: Trained, key: dict[str, Any]) -> bytes:
    """A safetensors file of the weights, with the key of the cache in its header."""
    tensors = {f"net.{name}": value.contiguous() for name, value in trained.net.state_dict().items()}
    tensors |= {"mean": trained.mean, "scale": trained.scale}
    # One metadata entry only: safetensors writes several in no fixed order, and the sha256 would not be
    # reproducible.
    return save(tensors, metadata={"key": json.dumps(key, sort_keys=True)})


def read_key(content: bytes) -> dict[str, Any] | None:
    """The key in the header of a safetensors file; None if there is none."""
    try:
        length = int.from_bytes(content[:8], "little")
        key = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["key"])
    except (ValueError, KeyError, TypeError):
        return None
    return key if isinstance(key, dict) else None


def _from_bytes(name: str, content: bytes) -> FrozenFeatures:
    key = read_key(content)
    assert key is not None
    tensors = load(content)
    net = FeatureNet(key["shape"], key["num_classes"], key["dim"])
    net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    trained = Trained(net, tensors["mean"], tensors["scale"], key["num_classes"])
    return FrozenFeatures(name, trained, hashlib.sha256(content).hexdigest())

"""The trained model that is explored, its data, and the folder that pictures of it go to."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from genexp import atomic
from genexp import config as configs
from genexp.assembly import Trained
from genexp.data.module import DataModule
from genexp.errors import UserError
from genexp.exploration.draws import chosen_classes, decoded, draw_latents
from genexp.exploration.plane import plot_paths
from genexp.models.base import GenerativeModel
from genexp.reporting.grid import image_grid

REAL = 2000
"""Real points behind a picture in the plane."""


@dataclass
class Subject:
    """A trained model to explore.

    Attributes:
        trained: the model with the weights to use.
        folder: where pictures and numbers go; made when the first is written.
        seed: of all that is drawn.
        chosen: classes that a conditional family is shown in, see `chosen_classes`.
        written: the files so far.

    Raises:
        UserError: if its data are neither images nor points in the plane, or there are no such classes.
    """

    trained: Trained
    folder: Path
    seed: int = 0
    chosen: Any = None
    written: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        shape = self.model.shape
        if len(shape) != 3 and shape != (2,):
            raise UserError(f"The data have shape {shape}: explorations show images and points in the plane.")
        self.classes(1)

    @property
    def model(self) -> GenerativeModel:
        """The model, in eval mode."""
        return self.trained.model

    @property
    def shows_images(self) -> bool:
        """Whether the data are images."""
        return len(self.model.shape) == 3

    @cached_property
    def data(self) -> DataModule:
        """What the model was trained on."""
        data: DataModule = configs.build(self.trained.config.dataset, "dataset")
        return data

    def classes(self, n: int) -> Tensor | None:
        """The classes of `n` rows of a picture; None for a family without conditioning."""
        return chosen_classes(self.model, self.chosen, n)

    def latents(self, n: int, seed: int | None = None) -> Tensor:
        """Latents (n, latent_dim) of the prior, of the classes that `n` rows have.

        Arguments:
            n: how many.
            seed: another than the subject's.

        Raises:
            UserError: if the family has no latents that it decodes.
        """
        z = draw_latents(self.model, n, self.seed if seed is None else seed, classes=self.classes(n))
        if z is None or z.ndim != 2 or not hasattr(self.model, "decode"):
            raise UserError(f"{self.name} does not decode latents: only what=neighbours is shown of it.")
        return z

    def decode(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """Data (R, S, *shape) of S latents in each of R rows (R, S, d), a class for each row."""
        rows, steps = z.shape[:2]
        of_each = None if classes is None else classes.repeat_interleave(steps)
        return decoded(self.model, z.flatten(0, 1), of_each).unflatten(0, (rows, steps))

    @property
    def name(self) -> str:
        """The family's."""
        return type(self.model).__name__

    # --- what is written --------------------------------------------------------------------------------------------

    def place(self, stem: str, ending: str) -> Path:
        """The path of a file of this exploration, in a folder that exists."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / f"{stem}-{self.trained.weights}-seed{self.seed}{ending}"
        self.written.append(place)
        return place

    def picture(self, stem: str, x: Tensor, title: str, in_columns: bool = False) -> Path:
        """A PNG of rows of images, or of the paths that rows of points make in the plane.

        Arguments:
            stem: the beginning of its name.
            x: (R, S, *shape).
            title: above a picture in the plane.
            in_columns: show each row of images as a column.
        """
        place = self.place(stem, ".png")
        with atomic.replacing(place) as temporary:
            if self.shows_images:
                shown = x.transpose(0, 1) if in_columns else x
                image_grid(shown.flatten(0, 1), columns=shown.shape[1]).save(temporary)
            else:
                plot_paths(x, self.data.split("val").x[:REAL], title, temporary)
        return place

    def numbers(self, stem: str, facts: dict[str, Any], **tensors: Tensor | None) -> Path:
        """A safetensors file of what a picture shows, with `facts` as JSON in its header."""
        place = self.place(stem, ".safetensors")
        write_tensors(place, {"step": self.trained.step, "weights": self.trained.weights, **facts}, **tensors)
        return place


def write_tensors(place: Path, facts: dict[str, Any], **tensors: Tensor | None) -> None:
    """Write a safetensors file.

    Arguments:
        place: of the file.
        facts: JSON in its header, under `genexp`: a single entry, since several would come in no fixed order.
        tensors: by name; None is left out.
    """
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items() if tensor is not None}
    atomic.write_bytes(place, save(kept, metadata={"genexp": json.dumps(facts, sort_keys=True)}))


def as_rows(a: Tensor, b: Tensor) -> Tensor:
    """Two sets (N, *shape) side by side, (N, 2, *shape)."""
    return torch.stack([a, b], dim=1)

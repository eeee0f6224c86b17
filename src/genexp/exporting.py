"""A trained model for use without genexp: weights as safetensors, the config as JSON, the decoder as ONNX."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genexp import atomic
from genexp import config as configs
from genexp.assembly import Trained
from genexp.errors import UserError
from genexp.exploration.draws import decode, draw_latents
from genexp.exploration.subject import write_tensors
from genexp.models.base import GenerativeModel

WEIGHTS, CONFIG, ONNX, README = "weights.safetensors", "config.json", "decode.onnx", "README.md"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
EXAMPLES = 3
"""Latents that the decoder is traced with; more than one, so that the batch size stays open."""
CHECKED = 5
"""Latents that the file is tried with: another number than it was traced with."""
CLOSE = 1e-4
"""Largest difference from the model; what ONNX Runtime and torch add in another order is 100 times less."""


class Decode(nn.Module):
    """`decode` of a family as a module of its own: latents, and classes in a conditional family, to data.

    Arguments:
        model: the family, in eval mode.
    """

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data (B, *shape) of latents (B, latent_dim) and classes (B,)."""
        return decode(self.model, z, y)


def check_onnx(model: GenerativeModel) -> None:
    """Refuse, before anything is written, what cannot become ONNX.

    Raises:
        UserError: if the family has no decoder or a package is missing.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise UserError(f"ONNX needs {' and '.join(missing)}: pip install 'genexp[export]', or add onnx=false.")
    if not hasattr(model, "decode") or model.latents(1, 0) is None:
        raise UserError(f"{type(model).__name__} has no decoder of latents that ONNX could hold: add onnx=false.")


def export_weights(trained: Trained, folder: Path) -> Path:
    """All weights of the model under the names of its state dict, those of the samples averaged or raw as loaded."""
    place = folder / WEIGHTS
    tensors = {name: tensor.clone() for name, tensor in trained.model.state_dict().items()}
    write_tensors(place, {"step": trained.step, "weights": trained.weights}, **tensors)
    return place


def export_config(trained: Trained, folder: Path) -> Path:
    """The resolved config."""
    place = folder / CONFIG
    atomic.write_text(place, json.dumps(configs.to_plain(trained.config), indent=2) + "\n")
    return place


def export_onnx(trained: Trained, folder: Path) -> tuple[Path, float]:
    """The decoder as ONNX with an open batch size; the file and its largest difference from the model.

    Inputs are `z` (B, latent_dim) and, in a conditional family, `y` (B,) int64; the output is `x` (B, *shape).

    Raises:
        UserError: if the decoder cannot be traced, or the file gives something else than the model.
    """
    model, place = trained.model, folder / ONNX
    inputs = _inputs(model, EXAMPLES)
    batch = torch.export.Dim("batch", min=1)
    with _quiet(), _unchecked_classes(model), torch.no_grad():
        try:
            # Strictly, by bytecode: otherwise len(z) in a family's code would fix the batch size.
            traced = torch.export.export(
                Decode(model).eval(),
                tuple(inputs.values()),
                dynamic_shapes={name: {0: batch} for name in inputs},
                strict=True,
            )
            program: Any = torch.onnx.export(
                traced, dynamo=True, input_names=list(inputs), output_names=["x"], verbose=False
            )
        except (RuntimeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
            reason = (str(error.__cause__ or error).strip().splitlines() or [""])[0].rstrip(".")
            raise UserError(f"The decoder cannot become ONNX ({reason}): add onnx=false.") from error
    with atomic.replacing(place) as temporary:
        program.save(temporary, include_initializers=True, external_data=False)
        difference = _difference(model, temporary)
        if not difference <= CLOSE:
            raise UserError(
                f"The ONNX decoder differs from the model by {difference:.2g}: it draws numbers of its own; "
                "add onnx=false."
            )
    return place, difference


def export_readme(trained: Trained, folder: Path, onnx: bool) -> Path:
    """How to load what is in the folder."""
    model, place = trained.model, folder / README
    z = draw_latents(model, 1, 0)
    text = _README.format(
        name=trained.config.name,
        family=type(model).__name__,
        step=trained.step,
        weights="averaged (EMA)" if trained.weights == "ema" else "raw",
        shape=", ".join(map(str, model.shape)),
    )
    if onnx and z is not None:
        conditional = model.num_classes is not None
        feed = {True: '{"z": z, "y": y}', False: '{"z": z}'}[conditional]
        classes = f"\ny = np.arange(16) % {model.num_classes}  # classes, int64 (B,)" if conditional else ""
        text += _ONNX_README.format(
            latent_dim=z.shape[1],
            shape=", ".join(map(str, model.shape)),
            latents=_NORMAL.format(latent_dim=z.shape[1]) if _are_normal(model) else _OTHERS,
            classes=classes,
            feed=feed,
        )
    atomic.write_text(place, text)
    return place


def _are_normal(model: GenerativeModel) -> bool:
    """Whether a family's latents are standard normal numbers and nothing else."""
    drawn, generator = model.latents(CHECKED, 1), model.generator_for(1)
    return drawn is not None and torch.equal(drawn, torch.randn(drawn.shape, device=drawn.device, generator=generator))


def _inputs(model: GenerativeModel, n: int, seed: int = 0) -> dict[str, Tensor]:
    classes = model.classes(n)
    z = draw_latents(model, n, seed, classes=classes)
    assert z is not None
    return {"z": z} if classes is None else {"z": z, "y": classes}


def _difference(model: GenerativeModel, place: Path) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(place.read_bytes(), providers=["CPUExecutionProvider"])
    if not all(isinstance(given.shape[0], str) for given in session.get_inputs()):
        raise UserError("The decoder could only become ONNX for one batch size: add onnx=false.")
    inputs = _inputs(model, CHECKED, seed=1)
    (found,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.no_grad():
        expected = Decode(model)(**inputs).numpy()
    return float(np.abs(found - expected).max())


@contextmanager
def _unchecked_classes(model: GenerativeModel) -> Iterator[None]:
    """A graph cannot read the classes that it is given: it takes them without a look."""
    unchecked: Any = model
    unchecked.classes = lambda n, y=None: y
    try:
        yield
    finally:
        del unchecked.classes


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's warnings are about its own insides."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)


_README = """# {name}

A trained {family} at step {step}, {weights} weights, of data ({shape}).

- `weights.safetensors`: all weights, under the names of the model's state dict
- `config.json`: the resolved config

```python
# with genexp: the model itself
import json
from omegaconf import OmegaConf
from safetensors.torch import load_file
from genexp.assembly import build_model

model = build_model(OmegaConf.create(json.load(open("config.json"))))
model.load_state_dict(load_file("weights.safetensors"))
x = model.eval().sample(16, seed=0)
```
"""

_ONNX_README = """
- `decode.onnx`: latents `z` (B, {latent_dim}) to data `x` (B, {shape}), for any batch size B

```python
# without genexp and without torch
import numpy as np
import onnxruntime

{latents}{classes}
(x,) = onnxruntime.InferenceSession("decode.onnx").run(None, {feed})
```
"""

_NORMAL = "z = np.random.default_rng(0).standard_normal((16, {latent_dim}), dtype=np.float32)"

_OTHERS = """from safetensors.numpy import load_file

z = load_file("sample.safetensors")["latents"][:16]  # of genexp sample RUN out=sample: they are not standard normal"""

"""`genexp sample`: draw samples from a trained run."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexp.commands.arguments import run_and_settings, take_flag
from genexp.errors import UserError
from genexp.runs import Run
from genexp.storage.copies import copied, is_model, put
from genexp.storage.places import COPIES, folder_of, shown

if TYPE_CHECKING:
    from genexp.exploration.draws import Draw

USAGE = "genexp sample RUN [n=64] [seed=0] [class=3] [weights=ema] [temperature=1.0] [truncation=0.7] [out=PATH]"
DEFAULTS = {
    "n": 64,
    "seed": 0,
    "class": None,
    "weights": "ema",
    "temperature": 1.0,
    "truncation": None,
    "out": "",
}
HELP = f"""{USAGE}

Draw samples from the run's newest checkpoint: a picture (.png), the numbers (.npz, float32, images in [-1, 1]), and
both with the latents that they were decoded from (.safetensors). The same seed gives the same samples.

  n=64             how many
  class=           of a conditional family: 3, or 0,1,2, or all, in turn; several stand in columns of the picture
  temperature=1.0  factor on the standard deviation of the latents
  truncation=      latents beyond so many standard deviations are drawn again: 0.7 is less varied and more typical
  weights=ema      ema | raw
  out=PATH         without ending; by default in the run's samples/ folder
"""


def main(arguments: list[str]) -> int:
    """Run `genexp sample`."""
    if take_flag(arguments, "-h", "--help"):
        print(HELP, end="")
        return 0
    folder, settings = run_and_settings(arguments, DEFAULTS, USAGE)
    _check(settings)
    run = Run.open(copied(folder, is_model))
    import numpy as np

    from genexp.assembly import load_trained
    from genexp.exploration.draws import chosen_classes, draw_with_latents
    from genexp.exploration.subject import write_tensors

    trained = load_trained(run, settings["weights"])
    model, seed = trained.model, settings["seed"]
    classes = chosen_classes(model, settings["class"], settings["n"])
    made = draw_with_latents(model, settings["n"], seed, settings["temperature"], settings["truncation"], classes)
    target = folder_of(settings["out"], COPIES) if settings["out"] else run.samples / _stem(settings, trained.weights)
    target.parent.mkdir(parents=True, exist_ok=True)
    image, numbers, tensors = (target.with_name(target.name + end) for end in (".png", ".npz", ".safetensors"))
    _draw(made, image, settings["class"])
    labels: dict[str, Any] = {} if made.classes is None else {"classes": made.classes.numpy()}
    np.savez_compressed(numbers, samples=made.samples.numpy(), seed=seed, step=trained.step, **labels)
    facts = {key: value for key, value in settings.items() if key != "out"}
    facts |= {"run": run.folder.name, "step": trained.step, "weights": trained.weights}
    write_tensors(tensors, facts, samples=made.samples, latents=made.latents, classes=made.classes)
    put([image, numbers, tensors])
    with_latents = "" if made.latents is None else f" of latents {tuple(made.latents.shape)}"
    print(f"picture  {shown(image)}\nsamples  {shown(numbers)}  {tuple(made.samples.shape)}")
    print(f"tensors  {shown(tensors)}{with_latents}")
    return 0


def _check(settings: dict[str, Any]) -> None:
    if settings["n"] < 1:
        raise UserError(f"n={settings['n']} asks for no samples: give at least 1.")
    if not 0 <= settings["temperature"] < math.inf:
        raise UserError(f"temperature={settings['temperature']} is out of range: give 0 or more.")
    threshold = settings["truncation"]
    if threshold is None:
        return
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or threshold <= 0:
        raise UserError(f"truncation={threshold} is out of range: give a number above 0, such as 0.7.")


def _stem(settings: dict[str, Any], weights: str) -> str:
    stem = f"sample-{weights}-seed{settings['seed']}-n{settings['n']}-t{settings['temperature']}"
    if settings["truncation"] is not None:
        stem += f"-psi{settings['truncation']}"
    if settings["class"] is not None:
        stem += f"-class{str(settings['class']).replace(' ', '')}"
    return stem


def _draw(made: "Draw", place: Path, chosen: Any) -> None:
    """A sheet, in which several classes that are asked for have a column each; or points in their classes' colours."""
    from genexp.reporting.grid import picture

    several = 0 if chosen is None or made.classes is None else len(made.classes.unique())
    picture(made.samples, place, columns=several if several > 1 else None, y=made.classes)

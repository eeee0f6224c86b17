"""`genexp explore`: paths, walks, reconstructions, inversions, directions and neighbours of a trained model."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from genexp.commands.arguments import run_and_settings, take_flag, take_option
from genexp.errors import UserError
from genexp.runs import Run
from genexp.storage.copies import copied, is_model, put
from genexp.storage.places import shown

USAGE = "genexp explore RUN what=interpolate [key=value ...]"
COMMON = {"weights": "ema", "seed": 0, "class": None}
WHAT: dict[str, dict[str, Any]] = {
    "interpolate": {"pairs": 8, "steps": 9, "path": "spherical"},
    "walk": {"tiles": 16, "keyframes": 4, "steps": 16, "fps": 12, "path": "spherical", "film": "gif"},
    "reconstruct": {"n": 16},
    "invert": {"n": 8, "of": "data", "restarts": 8, "steps": 300, "lr": 0.1},
    "directions": {"count": 6, "steps": 9, "reach": 3.0},
    "neighbours": {"n": 500, "count": 16},
}
"""What there is to explore, each with its own settings: the name is that of the module in `genexp.exploration`."""
HELP = f"""{USAGE}

Look at what a trained model has learned. Pictures and their numbers go to the run's exploration/ folder; points in the
plane are shown as paths over the data.

  what=interpolate   paths between pairs of latents: pairs=8 steps=9 path=linear|spherical|cos-sin
  what=walk          a closed walk through latents as a film: tiles=16 keyframes=4 steps=16 fps=12 path= film=gif|mp4
  what=reconstruct   test data above their reconstructions, of a family that encodes: n=16
  what=invert        latents of data by optimisation: n=8 of=data|samples restarts=8 steps=300 lr=0.1
  what=directions    latent directions in closed form (SeFa): count=6 steps=9 reach=3.0, in standard deviations
  what=neighbours    samples above their nearest training images: n=500 count=16

  weights=ema        ema | raw
  seed=0             of all that is drawn
  class=             of a conditional family: 3, or 0,1,2, or all, in turn
"""


def main(arguments: list[str]) -> int:
    """Run `genexp explore`."""
    arguments = list(arguments)
    if take_flag(arguments, "-h", "--help"):
        print(HELP, end="")
        return 0
    folder, what, settings = read_arguments(arguments)
    run = Run.open(copied(folder, is_model))
    from genexp.assembly import load_trained
    from genexp.exploration.subject import Subject

    common = {key: settings.pop(key) for key in COMMON}
    trained = load_trained(run, common["weights"])
    subject = Subject(trained, run.folder / "exploration", common["seed"], common["class"])
    found = import_module(f"genexp.exploration.{what}").explore(subject, **settings)
    put(subject.written)
    for place in subject.written:
        print(f"{what:12} {shown(place)}")
    if found is not None:
        print(f"{found[0]:12} {found[1]:.6g}")
    return 0


def read_arguments(arguments: Sequence[str]) -> tuple[str, str, dict[str, Any]]:
    """The run, what to explore and the settings of it.

    Raises:
        UserError: if there is no such exploration, or it has no such setting.
    """
    words = list(arguments)
    what = take_option(words, "what") or "interpolate"
    if what not in WHAT:
        raise UserError(f"what={what} is unknown: choose one of {', '.join(WHAT)}.")
    folder, settings = run_and_settings(words, COMMON | WHAT[what], USAGE)
    for key, default in WHAT[what].items():
        if isinstance(default, int) and settings[key] < 1:
            raise UserError(f"{key}={settings[key]} is out of range: give at least 1.")
    return folder, what, settings

"""`genexp sample`: draw samples from a trained run."""

from pathlib import Path

from genexp.commands.arguments import run_and_settings, take_flag
from genexp.errors import UserError
from genexp.runs import Run
from genexp.storage.copies import copied, is_model, put
from genexp.storage.places import shown

USAGE = "genexp sample RUN [n=64] [seed=0] [weights=ema] [temperature=1.0] [out=PATH]"
DEFAULTS = {"n": 64, "seed": 0, "weights": "ema", "temperature": 1.0, "out": ""}


def main(arguments: list[str]) -> int:
    """Run `genexp sample`."""
    if take_flag(arguments, "-h", "--help"):
        print(
            f"{USAGE}\n\nDraw samples from the run's newest checkpoint: a picture (.png) and the numbers (.npz,\n"
            "float32, data in [-1, 1]). The same seed gives the same samples. out: path without ending; by default\n"
            "in the run's samples/ folder."
        )
        return 0
    folder, settings = run_and_settings(arguments, DEFAULTS, USAGE)
    if settings["n"] < 1:
        raise UserError(f"n={settings['n']} asks for no samples: give at least 1.")
    run = Run.open(copied(folder, is_model))
    import numpy as np

    from genexp.assembly import load_trained
    from genexp.models.sampling import draw
    from genexp.reporting.grid import picture

    trained = load_trained(run, settings["weights"])
    samples = draw(trained.model, settings["n"], settings["seed"], temperature=settings["temperature"])
    stem = f"sample-{trained.weights}-seed{settings['seed']}-n{settings['n']}-t{settings['temperature']}"
    target = Path(settings["out"]) if settings["out"] else run.samples / stem
    target.parent.mkdir(parents=True, exist_ok=True)
    image, numbers = (target.with_name(target.name + ending) for ending in (".png", ".npz"))
    picture(samples, image)
    np.savez_compressed(numbers, samples=samples.numpy(), seed=settings["seed"], step=trained.step)
    put([image, numbers])
    print(f"picture  {shown(image)}\nsamples  {shown(numbers)}  {tuple(samples.shape)}")
    return 0

"""`genexp evaluate`: the full protocol on a trained run, beside the anchor rows."""

import time
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexp.commands.arguments import run_and_settings, take_flag
from genexp.errors import UserError
from genexp.provenance import commit
from genexp.runs import Run
from genexp.storage.places import shown

if TYPE_CHECKING:
    from torch import Tensor

    from genexp.data.module import DataModule
    from genexp.evaluation.protocol import Protocol
    from genexp.evaluation.scores import Scores

USAGE = "genexp evaluate RUN [weights=ema] [bound_samples=16] [ais_steps=0]"
DEFAULTS = {"weights": "ema", "bound_samples": 16, "ais_steps": 0}


def main(arguments: list[str]) -> int:
    """Run `genexp evaluate`."""
    if take_flag(arguments, "-h", "--help"):
        print(
            f"{USAGE}\n\nDraw samples from the run's newest checkpoint and score them against the held-out reference.\n"
            "weights=ema|raw; bound_samples: importance samples for families with a likelihood bound; ais_steps: more\n"
            "than 0 adds the bound of annealed importance sampling, for a VAE (slow).\n"
            "Adds a line with the fingerprint to scores.jsonl and prints the table; anchors.json and, for images,\n"
            "samples/nearest.png go beside it."
        )
        return 0
    folder, settings = run_and_settings(arguments, DEFAULTS, USAGE)
    if settings["bound_samples"] < 1:
        raise UserError(f"bound_samples={settings['bound_samples']} is out of range: give at least 1.")
    if settings["ais_steps"] < 0:
        raise UserError(f"ais_steps={settings['ais_steps']} is out of range: give 0 or more.")
    run = Run.open(folder)
    with nullcontext() if run.address is None else run.claimed():
        evaluate(run, **settings)
    return 0


def evaluate(
    run: Run,
    weights: str = "ema",
    bound_samples: int = 16,
    ais_steps: int = 0,
    prepared: "tuple[DataModule, Protocol] | None" = None,
) -> tuple[dict[str, Any], Path]:
    """Score a run, add the row to `scores.jsonl`, print the table; the row and the picture's path.

    `prepared` are the data and the scorer of the run's config where they are at hand, as after a training.

    The anchors' scores go to `anchors.json`, and of images a strip beside their nearest training images to
    `samples/nearest.png`: whoever reads the folder needs no protocol.
    """
    import torch

    from genexp.assembly import load_trained, prepared_protocol
    from genexp.evaluation.scores import write_scores
    from genexp.models.sampling import draw, labels_for
    from genexp.reporting.likelihood import annealed_row, bits_per_dim_row, refuse_annealing
    from genexp.reporting.watch import class_columns, save_picture
    from genexp.training.randomness import mix

    trained = load_trained(run, weights)
    refuse_annealing(trained.model, ais_steps)
    data, protocol = prepared or prepared_protocol(trained.config)
    seed, started = trained.config.seed, time.perf_counter()
    labels = labels_for(trained.model, protocol.labels())
    asked = [None] * protocol.draws if labels is None else list(labels)
    samples = torch.stack([draw(trained.model, protocol.size, mix(seed, 5, d), y=y) for d, y in enumerate(asked)])
    sampling_seconds = time.perf_counter() - started
    record = run.record
    scores = protocol.score(samples, labels).with_columns(
        **bits_per_dim_row(trained.model, data, bound_samples, seed),
        **annealed_row(trained.model, data, ais_steps, seed),
        sample_s=sampling_seconds / protocol.draws,
        train_s=record.get("seconds"),
        params=record.get("parameters", {}).get("total"),
    )
    sheet = class_columns(trained.model, samples[0], mix(seed, 6))
    picture = save_picture(samples[0], protocol, run.samples / f"final-{trained.weights}.png", asked[0], sheet)
    row = {
        "run": run.folder.name,
        "name": record["name"],
        "setting": record["setting"],
        "seed": seed,
        "step": trained.step,
        "weights": trained.weights,
        "commit": commit(),
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        **scores.to_json(),
    }
    anchors = protocol.anchors(classes=labels is not None)
    write_scores(anchors, run.folder / "anchors.json")
    strip = _nearest_picture(samples[0], protocol, run.samples / "nearest.png")
    run.append_scores(row)
    _show(
        {**anchors, f"{record['name']} ({trained.weights})": scores},
        {"run": run.folder, "samples": picture, "nearest": strip},
    )
    return row, picture


def _show(rows: "Mapping[str, Scores]", places: Mapping[str, Path | None]) -> None:
    """Print the table, and below it where things are."""
    from rich.console import Console

    from genexp.reporting.table import score_table

    console = Console()
    console.print(score_table(rows, console.width))
    for what, place in places.items():
        if place is not None:
            console.print(f"{what:7}  {shown(place)}", highlight=False, soft_wrap=True)


def _nearest_picture(samples: "Tensor", protocol: "Protocol", path: Path) -> Path | None:
    """The samples beside their nearest training data; None where the protocol has no picture of that."""
    from genexp.reporting.grid import neighbour_strip

    neighbours = protocol.neighbours(samples)
    if neighbours is None:
        path.unlink(missing_ok=True)  # of an earlier evaluation
        return None
    neighbour_strip(neighbours, path)
    return path

"""One W&B run for one run folder: its names, its rows, its pictures, and the end of it.

The x-axis is the clock, and a step is logged once. A resumed run repeats the steps after its checkpoint, with the same
numbers: what W&B has already, on the server or in the files of earlier segments, is left out, so that all rows put one
behind the other are the history of a run that was never stopped. W&B's own `_step` only counts the rows.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import WandbLogger
from numpy.typing import NDArray

from genexp.evaluation.registry import place
from genexp.evaluation.scores import finite_or_none, read_scores
from genexp.reporting.wandb_folders import SEGMENT, records, segments
from genexp.runs import Run
from genexp.training.metrics_file import MetricsFile

STEP = "trainer/global_step"
"""The x-axis of every chart: steps of the clock."""
TAGGED = ("dataset", "model", "network", "loss", "constraint", "plan", "optimizer")
"""Groups whose chosen option becomes a tag."""
NOT_IN_LABEL = ("seed", "sweep=", "logger", "launcher", "paths", "progress", "run_dir")
"""Overrides that do not tell a setting from another."""
ID_LENGTH, TAG_LENGTH = 128, 64
"""What W&B allows."""
HISTOGRAM_BINS = 64
COORDINATES = 4
"""Of points, so many have a histogram each."""


class WandbRows(WandbLogger):
    """Lightning's logger with one row for each step of the clock.

    Arguments:
        experiment: the open W&B run.
        folder: the run's folder.
        already: the last step that W&B has; rows up to it are left out.
    """

    def __init__(self, experiment: Any, folder: Path, already: int = -1) -> None:
        super().__init__(experiment=experiment, save_dir=str(folder), log_model=False)
        self.already = already

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """The numbers of a step, which end its row."""
        self.log_part(metrics, step, commit=True)

    def log_part(self, values: Mapping[str, Any], step: int | None, commit: bool = False) -> None:
        """A part of a step's row, kept until the last part comes."""
        if step is None or step > self.already:
            axis = {} if step is None else {STEP: step}
            self.experiment.log({**values, **axis}, commit=commit)


def init_arguments(run: Run, config: Mapping[str, Any], group: str | None, tags: Sequence[str]) -> dict[str, Any]:
    """How a run is called at W&B: the arguments of `wandb.init` that come from the run itself.

    Arguments:
        run: the run, whose `run.json` is written.
        config: the resolved config.
        group: the user's own group; by default the sweep, else the run's name.
        tags: the user's own tags.
    """
    record = run.record
    sweep, choices = record.get("sweep"), record.get("choices", {})
    overrides = record.get("overrides") or []
    label = " ".join(o for o in overrides if not o.startswith(NOT_IN_LABEL)) or record["name"]
    extra = {"setting": record["setting"], "label": label, "choices": choices, "overrides": list(overrides)}
    name = f"{label} s{record['seed']}" if sweep else run.folder.name
    return {
        "id": run_id(run),
        "name": name[:ID_LENGTH],
        "group": group or sweep or record["name"],
        "job_type": "train",
        "tags": [tag[:TAG_LENGTH] for tag in dict.fromkeys([*chosen_options(choices, config), *tags])],
        "config": {**config, **extra},
        "dir": str(run.folder),
        "resume": "allow",
    }


def run_id(run: Run) -> str:
    """The W&B id: the one of earlier segments, else the sweep or name, the folder, and when the run was made.

    The time keeps apart what has the same place: a sweep that was deleted and trained anew, or two `run_dir=out`.
    """
    earlier = sorted((run.folder / "wandb").glob("*run-*-*")) if (run.folder / "wandb").is_dir() else []
    for folder in reversed(earlier):
        if found := SEGMENT.fullmatch(folder.name):
            return found["id"]
    record = run.record
    origin = hashlib.sha256(f"{record['created']} {run.address or run.folder.resolve()}".encode()).hexdigest()[:6]
    words = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{record.get('sweep') or record['name']}-{run.folder.name}")
    return f"{words[-(ID_LENGTH - 7) :].strip('-')}-{origin}"


def chosen_options(choices: Mapping[str, str], config: Mapping[str, Any]) -> list[str]:
    """Tags such as `loss=hinge` and `penalty=gp`, for the groups in which something was chosen."""
    chosen = [f"{group}={choices[group]}" for group in TAGGED if choices.get(group) not in (None, "null", "none")]
    return [*chosen, *(f"penalty={name}" for name in config.get("penalty") or {})]


def history(log: Path) -> list[dict[str, Any]]:
    """The rows in a W&B file, oldest first; a torn end is left out."""
    return [record["history"]["item"] for record in records(log) if record.get("type") == "history"]


def last_logged(folder: Path, experiment: Any) -> int:
    """The last step that W&B has of a run, -1 for none.

    Arguments:
        folder: the run's folder, with the offline segments.
        experiment: the open W&B run; online, its summary is the server's.
    """
    steps = [row.get(STEP) for segment in segments(folder) for row in history(segment.log)]
    steps.append(experiment.summary.get(STEP))
    return max((int(step) for step in steps if step is not None), default=-1)


def catch_up(logger: WandbRows, run: Run) -> None:
    """Log the rows up to the newest checkpoint that were lost when W&B's own process was killed with the run.

    Their pictures are on disk; their histograms are gone.
    """
    import wandb

    saved = run.record.get("step") or 0
    timings = {row["step"]: row for row in MetricsFile(run.folder / "timings.csv").rows()}
    for row in MetricsFile(run.folder / "metrics.csv").rows():
        step = int(row.pop("step"))
        if logger.already < step <= saved:
            values = {**row, **{name: value for name, value in timings.get(str(step), {}).items() if name != "step"}}
            picture = run.samples / f"step-{step:08d}.png"
            if picture.is_file():
                logger.log_part({"samples": [wandb.Image(str(picture))]}, step)
            logger.log_metrics({name: float(value) for name, value in values.items() if value}, step)
    logger.already = max(logger.already, saved)


def histograms(samples: NDArray[np.float32]) -> dict[str, tuple[NDArray, NDArray]]:
    """Counts and edges of the values of images (N, C, H, W), or of each coordinate of points (N, D).

    Values that are not finite are left out; without any other there is no histogram.
    """
    if samples.ndim == 2:
        columns = {f"samples/x{i}": samples[:, i] for i in range(min(samples.shape[1], COORDINATES))}
    else:
        columns = {"samples/values": samples.ravel()}
    finite = {name: column[np.isfinite(column)] for name, column in columns.items()}
    return {name: np.histogram(column, bins=HISTOGRAM_BINS) for name, column in finite.items() if column.size}


def log_samples(logger: WandbRows, picture: Path, samples: NDArray[np.float32], step: int) -> None:
    """The picture of a score, which is bytes on disk, and histograms of the samples that were scored."""
    import wandb

    shown: dict[str, Any] = {"samples": [wandb.Image(str(picture))]}
    shown |= {name: wandb.Histogram(np_histogram=both) for name, both in histograms(samples).items()}
    logger.log_part(shown, step)


def log_end(logger: WandbRows, folder: Path, row: Mapping[str, Any], picture: Path | None) -> None:
    """The final scores as a summary and as a table among the reference generators, and the final samples.

    Arguments:
        logger: the open logger.
        folder: the run's folder, with `anchors.json` if the reference generators were scored.
        row: a line of `scores.jsonl`.
        picture: the final samples.
    """
    import wandb

    metrics = {name: finite_or_none(value) for name, value in row["metrics"].items()}
    logger.experiment.summary.update({f"score/{name}": value for name, value in metrics.items()})
    anchors = read_scores(folder / "anchors.json") or {}
    columns = sorted(metrics, key=place)
    rows = [[name, *(scores.metrics.get(column) for column in columns)] for name, scores in anchors.items()]
    rows.append([f"{row['name']} ({row['weights']})", *(metrics[column] for column in columns)])
    shown: dict[str, Any] = {"final/scores": wandb.Table(columns=["generator", *columns], data=rows)}
    if picture is not None:
        shown["final/samples"] = [wandb.Image(str(picture))]
    nearest = folder / "samples" / "nearest.png"
    if nearest.is_file():
        shown["final/nearest"] = [wandb.Image(str(nearest))]
    logger.experiment.log({**shown, STEP: row["step"]}, commit=True)

"""The dashboards of a W&B project as code: a workspace and a report that show what genexp logs.

Both are built and checked by W&B's own classes without a server, and written as the JSON that the server would get.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genexp import atomic
from genexp.errors import UserError
from genexp.reporting.wandb_run import STEP

HEADLINES = ("hq", "fd32c", "energy")
"""What ranks runs by default: of points with modes, of images, of points without."""
LOSSES = ("loss/critic", "loss/generator", "loss/negative_elbo")
BESIDE = ("coverage", "recall", "copy_rate", "modes", "std_ratio", "bpd")
"""Scores that are read beside the headline."""


@dataclass(frozen=True)
class View:
    """What a dashboard shows.

    Attributes:
        project: the W&B project.
        entity: whose it is; None is the account that saves it.
        sweep: only the runs of this sweep; None shows all.
        headline: the score that ranks; None shows those of `HEADLINES`.

    Raises:
        UserError: if wandb-workspaces is not installed.
    """

    project: str = "genexp"
    entity: str | None = None
    sweep: str | None = None
    headline: str | None = None

    def __post_init__(self) -> None:
        if importlib.util.find_spec("wandb_workspaces") is None:
            raise UserError("genexp wandb dashboard needs wandb-workspaces: pip install 'genexp[dashboard]'.")

    @property
    def headlines(self) -> tuple[str, ...]:
        """The scores that rank."""
        return (self.headline,) if self.headline else HEADLINES

    @property
    def title(self) -> str:
        """The name of both dashboards."""
        return f"genexp {self.sweep}" if self.sweep else "genexp"


def panels(view: View) -> dict[str, list[Any]]:
    """The panels under the names of their sections; seeds of one setting are one line with its spread."""
    import wandb_workspaces.reports.v2 as wr

    by_setting: dict[str, Any] = {
        "groupby": wr.Config("label"),
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "minmax",
    }

    def curve(title: str, y: list[Any]) -> Any:
        return wr.LinePlot(title=title, x=STEP, y=y, title_x="step", smoothing_type="none", **by_setting)

    return {
        "Scores while training (validation split)": [
            *(curve(f"fast {name}", [f"fast/{name}"]) for name in view.headlines),
            *(curve(f"fast {name}", [f"fast/{name}"]) for name in ("coverage", "recall", "modes")),
        ],
        "Final scores (reference split)": [
            *(wr.BarPlot(title=name, metrics=[f"score/{name}"], **by_setting) for name in view.headlines),
            *(wr.BarPlot(title=name, metrics=[f"score/{name}"], **by_setting) for name in BESIDE),
            wr.WeavePanelSummaryTable(table_name="final/scores"),
        ],
        "Samples": [
            wr.MediaBrowser(title="samples over steps", media_keys=["samples"], num_columns=4),
            wr.MediaBrowser(title="final samples", media_keys=["final/samples"], num_columns=4),
            wr.MediaBrowser(title="above their nearest training images", media_keys=["final/nearest"], num_columns=2),
        ],
        "Losses": [
            *(curve(name, [name]) for name in LOSSES),
            curve("images per second", ["time/images_per_second"]),
        ],
        "Runs": [wr.RunComparer(diff_only=True)],
    }


def workspace(view: View) -> Any:
    """A `wandb_workspaces.workspaces.Workspace`: the view in which one works."""
    import wandb_workspaces.workspaces as ws

    sections = [
        ws.Section(name=name, panels=shown, is_open=place < 3)
        for place, (name, shown) in enumerate(panels(view).items())
    ]
    return ws.Workspace(
        entity=view.entity or "",
        project=view.project,
        name=view.title,
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=50),
        runset_settings=ws.RunsetSettings(
            filters=[ws.Metric("Group") == view.sweep] if view.sweep else [],
            groupby=[ws.Config("label")],
            pinned_columns=[f"summary:score/{name}" for name in view.headlines],
        ),
    )


def report(view: View, online: bool = False) -> Any:
    """A `wandb_workspaces.reports.v2.Report`: the page that one sends to others.

    Arguments:
        view: what it shows.
        online: name the project in the set of runs, which W&B looks up on the server at once.
    """
    import wandb_workspaces.reports.v2 as wr

    runs = wr.Runset(
        entity=(view.entity or "") if online else "",
        project=view.project if online else "",
        name=view.sweep or "all runs",
        filters=f"Metric('Group') = '{view.sweep}'" if view.sweep else "",
        groupby=["config.label"],
    )
    blocks: list[Any] = [
        wr.P("A line or bar is a setting: the mean over its training seeds, with their least and greatest value."),
        wr.P("Fast scores use the validation split. Final scores use the reference split, which chose nothing."),
    ]
    for name, shown in panels(view).items():
        for place, panel in enumerate(shown):
            panel.layout = wr.Layout(x=8 * (place % 3), y=8 * (place // 3), w=8, h=8)
        blocks += [wr.H2(name), wr.PanelGrid(runsets=[runs], panels=shown)]
    return wr.Report(project=view.project, entity=view.entity or "", title=view.title, blocks=blocks, width="fluid")


def write(view: View, folder: Path) -> list[Path]:
    """Build both without a server and write `workspace.json` and `report.json`; their paths."""
    specs = {"workspace": workspace(view)._to_model(), "report": report(view)._to_model()}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, spec in specs.items():
        path = folder / f"{name}.json"
        text = spec.model_dump_json(by_alias=True, exclude_none=True)
        atomic.write_text(path, json.dumps(json.loads(text), indent=1) + "\n")
        paths.append(path)
    return paths


def save(view: View) -> list[str]:
    """Send both to the server; their addresses.

    Raises:
        UserError: if the server refuses.
    """
    import wandb

    try:
        return [str(workspace(view).save().url), str(report(view, online=True).save().url)]
    except (wandb.errors.Error, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"W&B did not take the dashboard of {view.entity}/{view.project}: {reason}") from error

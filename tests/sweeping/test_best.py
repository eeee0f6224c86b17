import shlex
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from genexp import config as configs
from genexp.commands import best
from genexp.errors import UserError
from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.winner import ranked

BASE = ["experiment=ring8_gan", "max_steps=20", "score_every=10"]


@pytest.fixture
def add(tmp_path):
    """Put runs of one setting into a sweep: a metric and its last score for each seed."""
    folder = SweepFolder(tmp_path / "sweep")

    def runs(*overrides, metric="mode_kl", status="complete", **scores):
        seeds = {int(name.removeprefix("s")): score for name, score in scores.items()}
        for seed, score in seeds.items():
            job = folder.job([*BASE, *overrides, f"seed={seed}"])
            folder.prepare(job)
            job.run.update(status=status, failure="It went wrong." if status != "complete" else None)
            header = f"step,images,fast/{metric},fast/modes\n"
            (job.run.folder / "metrics.csv").write_text(f"{header}10,640,0.001,8\n20,1280,{score!r},8\n")
        return folder.path

    return runs


def test_the_mean_over_seeds_decides_not_the_luckiest_seed_nor_an_earlier_step(add, capsys):
    add("loss=hinge", s0=0.1, s1=0.9, s2=0.8)
    folder = add("loss=saturating", s0=0.3, s1=0.5, s2=0.4)
    assert best.main([str(folder), "metric=mode_kl"]) == 0
    lines = capsys.readouterr().out.splitlines()
    half = stats.t.ppf(0.975, 2) * np.std([0.3, 0.5, 0.4], ddof=1) / np.sqrt(3)
    assert lines[0] == "ring8: 2 settings compared by fast/mode_kl (↓ 0)"
    assert lines[1] == f"best:   0.4 ± {half:.2g} (3 seeds)  loss=saturating"
    assert lines[2].startswith("next:   0.6 ± ") and lines[2].endswith("loss=hinge")
    assert lines[-1].endswith("was not looked at.")


@pytest.mark.parametrize(
    ("metric", "better", "worse"), [("hq", 0.98, 1.0), ("coverage", 0.9, 0.1), ("energy", -0.01, 0.2)]
)
def test_each_metric_has_its_own_direction(add, metric, better, worse):
    add("loss=hinge", metric=metric, s0=worse)
    folder = add("loss=saturating", metric=metric, s0=better)
    (table,) = ranked(folder, metric)
    assert [setting.label for setting in table.settings] == ["loss=saturating", "loss=hinge"]


def test_a_setting_with_a_seed_that_came_to_nothing_does_not_win(add, capsys):
    add("loss=hinge", s0=0.01)
    add("loss=hinge", s1=0.01, status="diverged")
    add("loss=least_squares", s0=0.01, status="pruned")
    add("loss=non_saturating", s0=0.01, status="running")
    folder = add("loss=saturating", s0=0.4)
    (table,) = ranked(folder)
    assert [setting.label for setting in table.settings] == ["loss=saturating"]
    assert sorted(table.left_out) == ["1 not finished", "1 pruned", "1 with a seed that diverged"]
    best.main([str(folder)])
    assert "out:    1 with a seed that diverged" in capsys.readouterr().out


@pytest.mark.parametrize("seeds", [(4,), (2, 3, 4), (0, 3)])
def test_the_command_gets_the_same_runs_again(add, seeds):
    folder = add("penalty=[r1,r2]", "optimizer.lr=0.00012345678901234567", **{f"s{seed}": 0.1 for seed in seeds})
    (table,) = ranked(folder)
    words = shlex.split(table.settings[0].command)
    assert words[:2] == ["genexp", "train"]
    from genexp.commands.multirun import jobs

    several = configs.compose_train(
        [w for w in words[2:] if w != "-m" and "," not in w.split("seed=")[-1]]
    ).config.seeds
    found = SweepFolder(folder).jobs(jobs([word for word in words[2:] if word != "-m"]), several, None)
    assert {job.run.folder for job in found} == {run.folder for run in SweepFolder(folder).runs()}


def test_the_reported_split_changes_nothing(add):
    add("loss=hinge", s0=0.5)
    folder = add("loss=saturating", s0=0.1)
    before = ranked(folder)
    for run in SweepFolder(folder).runs():
        score = 0.0 if "loss=hinge" in run.record["overrides"] else 9.0
        run.append_scores({"metrics": {"mode_kl": score}, "step": 20, "weights": "ema"})
    assert ranked(folder) == before


def test_what_cannot_be_compared_is_refused(add, tmp_path):
    with pytest.raises(UserError, match="There is no sweep at"):
        best.main([str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match="There is no setting metrik"):
        best.main([str(tmp_path), "metrik=hq"])
    folder = add("loss=hinge", s0=0.5, status="running")
    with pytest.raises(UserError, match="has no complete run"):
        ranked(folder)
    add("loss=hinge", "evaluation.fast_n=777", s0=0.5)
    with pytest.raises(UserError, match="scored in 2 ways"):
        ranked(folder)


def test_scores_on_other_data_of_the_same_name_are_not_compared(add):
    folder = add("loss=hinge", s0=0.5)
    ranked(folder)
    add("loss=hinge", "dataset.num_workers=1", s0=0.4)
    ranked(folder)
    add("loss=hinge", "dataset.density.std=0.1", s0=0.3)
    with pytest.raises(UserError, match="scored in 2 ways"):
        ranked(folder)


def test_a_damaged_run_is_left_out(add, capsys):
    folder = add("loss=hinge", s0=0.5)
    damaged = next(path for path in add("loss=saturating", s0=0.4).iterdir() if path.is_dir())
    (damaged / "config.yaml").write_text("")
    (ranking,) = ranked(folder)
    assert len(ranking.settings) == 1 and f"{damaged} is damaged" in capsys.readouterr().err


def test_a_metric_that_is_not_there_is_named_with_those_that_are(add):
    with pytest.raises(UserError, match="no validation score recall: choose one of modes, mode_kl"):
        ranked(add(s0=0.5), "recall")


def test_data_sets_are_ranked_apart(add):
    add("dataset=ring8", s0=0.5)
    folder = add("dataset=grid25", s0=0.1)
    assert sorted(table.data for table in ranked(folder)) == ["grid25", "ring8"]


def test_torch_is_not_imported(add):
    folder = add(s0=0.5, s1=0.6)
    code = (
        "import sys; from genexp.cli import main\n"
        f"assert main(['best', {str(folder)!r}]) == 0\n"
        "assert not {'torch', 'lightning', 'optuna', 'wandb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from tests.sweeping.fake_training import FIXED, LR, FakeLauncher, far, search

from genexp import config as configs
from genexp.errors import UserError
from genexp.runs import Run
from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.jobs import Request
from genexp.sweeping.search import SearchSettings, search_source
from genexp.sweeping.space import Space
from genexp.sweeping.study import JOURNAL, JournalLock, Study
from genexp.sweeping.validation import Curve, ranking_metric

QUICK = ["evaluation.n=100", "evaluation.draws=1", "evaluation.fast_n=100"]

# The space


def test_hydras_sweep_syntax_becomes_distributions():
    space = Space.of(
        [
            "optimizer.lr=tag(log,interval(1e-5,1e-2))",
            "batch_size=range(32,129,32)",
            "down=range(10,0,-3)",
            "share=range(0.1,0.55,0.1)",
            "width=int(interval(1,8))",
            "depth=tag(log,int(interval(1,8)))",
            "real=interval(1,8)",
            "penalty=none,gp,[r1,r2]",
            "lr=choice(1e-3,1e-4)",
            "max_steps=100",
        ]
    )
    assert space.fixed == ("max_steps=100",)
    assert space.axes == {
        "optimizer.lr": FloatDistribution(1e-5, 1e-2, log=True),
        "batch_size": IntDistribution(32, 128, step=32),
        "down": IntDistribution(1, 10, step=3),
        "share": FloatDistribution(0.1, 0.5, step=0.1),
        "width": IntDistribution(1, 8),
        "depth": IntDistribution(1, 8, log=True),
        "real": FloatDistribution(1.0, 8.0),
        "penalty": CategoricalDistribution(["none", "gp", "[r1,r2]"]),
        "lr": CategoricalDistribution(["0.001", "0.0001"]),
    }


def test_a_points_overrides_read_back_to_the_same_bits():
    space = Space.of(["seed=1", "optimizer.lr=tag(log,interval(1e-9,1))", "batch_size=8,16", "max_steps=range(0,9,3)"])
    rng = np.random.default_rng(0)
    for lr in 10 ** rng.uniform(-9, 0, 5):
        point = {"optimizer.lr": float(lr), "batch_size": "16", "max_steps": 6}
        config = configs.compose_train(space.overrides(point)).config
        assert (config.optimizer.lr, config.batch_size, config.max_steps, config.seed) == (lr, 16, 6, 1)


def test_steps_are_written_as_a_person_would():
    space = Space.of(["share=range(0.1,0.55,0.1)"])
    assert space.overrides({"share": 0.1 + 2 * 0.1}) == ["share=0.3"]


def test_probes_hold_each_choice_and_each_end():
    words = {word for probe in Space.of(["a=1,2,3", "b=interval(0,1)", "c=5"]).probes() for word in probe}
    assert words == {"a=1", "a=2", "a=3", "b=0.0", "b=1.0", "c=5"}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("a=interval(2,1)", "lower end first"),
        ("a=tag(log,interval(0,1))", "no logarithm"),
        ("a=tag(log,range(1,9,2))", "has steps"),
        ("a=tag(log,choice(1,2))", "is a choice"),
        ("a=tag(lin,interval(0,1))", "a tag lin"),
        ("a=range(3,3)", "is empty"),
        ("a=glob(*)", "write the values out"),
        ("a=interval(1", "does not parse"),
        ("a=1", "several values"),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(override, sentence):
    with pytest.raises(UserError, match=sentence):
        Space.of([override])


# The settings


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"sampler": "grid"}, "search.sampler=grid is not known: give one of tpe, cmaes, random"),
        ({"pruner": "hyperband"}, "search.pruner=hyperband is not known"),
        ({"trials": 0}, "search.trials=0"),
        ({"trials": None}, "never ends"),
        ({"cpu_seconds": -1}, "search.cpu_seconds"),
        ({"metric": "params"}, "no better and worse"),
    ],
)
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        SearchSettings(**settings)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"genexp\[optuna\]"):
        SearchSettings()


@pytest.mark.parametrize("option", ["random", "optuna"])
def test_each_option_of_the_group_builds(option):
    config = configs.compose_train([f"search={option}"]).config
    assert isinstance(configs.build(config.search, "search"), SearchSettings)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["loss=hinge,hinged"], "There is no loss=hinged"),
        (["optimiser.lr=interval(0,1)"], "There is no key optimiser"),
        (["seed=1,2"], "seeds=3"),
        (["dataset=ring8,two_moons"], "do not compare"),
        (["dataset.density.std=interval(0.01,0.1)"], "do not compare"),
        (["loss=hinge,saturating", "score_every=0"], "score_every"),
    ],
)
def test_a_wrong_search_is_refused_before_anything_is_written(tmp_path, words, sentence):
    request = Request.of(["experiment=ring8_gan", "search=random", *words])
    plain = configs.compose_train([*request.fixed, *request.own]).plain
    with pytest.raises(UserError, match=sentence):
        search_source(SweepFolder(tmp_path / "sweep"), request, plain, None)
    assert not (tmp_path / "sweep").exists()


# The scores it goes by


def test_the_ranking_metric_is_the_data_sets_own_unless_another_is_wanted():
    assert ranking_metric(["step", "fast/coverage", "fast/fd32c"]) == "fd32c"
    assert ranking_metric(["fast/modes", "fast/mode_kl", "fast/hq"], "fast/mode_kl") == "mode_kl"
    assert ranking_metric(["fast/nll_true", "fast/energy"]) == "energy"
    assert ranking_metric(["step", "loss/critic"]) is None
    with pytest.raises(UserError, match="no validation score recall: choose one of fd32c"):
        ranking_metric(["fast/fd32c"], "recall")


def test_a_curve_reads_what_is_written_later(tmp_path):
    curve = Curve(Run(tmp_path))
    assert curve.scores("hq") == [] and curve.last("hq") is None
    (tmp_path / "metrics.csv").write_text("step,images,fast/hq\n10,640,0.5\n15,960,\n20,1280,0.7")
    assert curve.scores("hq") == [(10, 0.5)]  # the last line is not whole
    (tmp_path / "metrics.csv").write_text("step,images,fast/hq\n10,640,0.5\n15,960,\n20,1280,nan\n")
    assert curve.last("hq") is None and len(curve.scores("hq")) == 2


# The search


def losses(source):
    return [trial.value for trial in source.study.trials()]


def late_losses(folder: Path, sampler: str) -> float:
    """The mean of the later half of 30 trials, over two searches; lr=1e-3 and width=32 are best."""
    space = Space.of(["lr=tag(log,interval(1e-6,1.0))", "width=range(2,65)"])
    late = []
    for seed in range(2):
        settings = SearchSettings(sampler=sampler, seed=seed, startup_trials=5)
        study = Study(folder / f"{sampler}{seed}", settings, space, {})
        for number in range(30):
            with study.turn():
                assert study.ask() == number
                point = study.point(number)
            loss = far({"optimizer": {"lr": point["lr"]}}, 40) + ((point["width"] - 32) / 16) ** 2
            study.tell(number, TrialState.COMPLETE, loss)
            late.extend([loss] * (number >= 15))
    return float(np.mean(late))


def test_the_samplers_that_learn_beat_random_points(tmp_path):
    random_points = late_losses(tmp_path, "random")
    assert late_losses(tmp_path, "tpe") < 0.7 * random_points
    assert late_losses(tmp_path, "cmaes") < 0.5 * random_points


def test_each_trial_is_a_run_with_its_own_overrides(tmp_path):
    source = search(tmp_path, [LR], FakeLauncher(), trials=3, pruner="none")
    for trial in source.study.trials():
        (name,) = trial.user_attrs["runs"]
        run = Run.open(tmp_path / name)
        assert run.config["optimizer"]["lr"] == trial.params["optimizer.lr"]
        assert f"optimizer.lr={trial.params['optimizer.lr']!r}" in run.record["overrides"]
        assert run.record["overrides"][-1] == "seed=0"
        assert trial.value == far(run.config, 40) and trial.user_attrs["scores"] == [trial.value]


def test_a_later_call_only_adds_what_is_missing(tmp_path):
    first = FakeLauncher()
    points = [trial.params for trial in search(tmp_path, [LR], first, trials=3, pruner="none").study.trials()]
    again, more = FakeLauncher(), FakeLauncher()
    search(tmp_path, [LR], again, trials=3, pruner="none")
    source = search(tmp_path, [LR], more, trials=5, pruner="none")
    assert (len(first.started), len(again.started), len(more.started)) == (3, 0, 2)
    assert [trial.params for trial in source.study.trials()][:3] == points


def test_another_question_is_refused_in_the_same_folder(tmp_path):
    search(tmp_path, [LR], FakeLauncher(), trials=1)
    with pytest.raises(UserError, match="another space: give sweep=NAME"):
        search(tmp_path, ["optimizer.lr=interval(0.1,1)"], FakeLauncher(), trials=1)
    with pytest.raises(UserError, match="another seeds"):
        search(tmp_path, [LR], FakeLauncher(), seeds=(0, 1), trials=1)


def test_a_metric_that_the_runs_do_not_have_is_refused_and_can_be_mended(tmp_path):
    with pytest.raises(UserError, match="no validation score coverage: choose one of mode_kl"):
        search(tmp_path, [LR], FakeLauncher(), trials=1, metric="coverage")
    assert len(losses(search(tmp_path, [LR], FakeLauncher(), trials=1))) == 1


def test_seeds_are_averaged(tmp_path):
    def score(plain, step):
        return float(plain["seed"]) + far(plain, step)

    launcher = FakeLauncher(slots=2, score=score)
    source = search(tmp_path, [LR], launcher, seeds=(3, 4, 5), trials=2, pruner="none")
    assert sorted(run.record["seed"] for run in launcher.started) == [3, 3, 4, 4, 5, 5]
    for trial in source.study.trials():
        lr = {"optimizer": {"lr": trial.params["optimizer.lr"]}}
        assert trial.value == pytest.approx(4.0 + far(lr, 40), rel=1e-12)


def test_the_same_point_is_trained_once(tmp_path):
    launcher = FakeLauncher(slots=2)
    source = search(tmp_path, ["loss=hinge,saturating"], launcher, trials=6, pruner="none", sampler="random")
    assert len(launcher.started) == 2 and len(losses(source)) == 6
    assert all(trial.state == TrialState.COMPLETE for trial in source.study.trials())


def test_a_hopeless_trial_is_stopped_early(tmp_path):
    launcher = FakeLauncher()
    source = search(tmp_path, [LR], launcher, trials=12, sampler="random", pruner="median", startup_trials=3)
    pruned = [trial for trial in source.study.trials() if trial.state == TrialState.PRUNED]
    complete = [trial for trial in source.study.trials() if trial.state == TrialState.COMPLETE]
    assert pruned and len(pruned) + len(complete) == 12 and all(trial.number >= 3 for trial in pruned)
    for trial in pruned:
        record = Run(tmp_path / trial.user_attrs["runs"][0]).record
        assert record["status"] == "pruned" and record["failure"] == trial.user_attrs["reason"]
        assert "Stopped by the search at step 10:" in record["failure"]
        assert trial.last_step == 10
        before = [done.intermediate_values[10] for done in complete if done.number < trial.number]
        assert trial.intermediate_values[10] > np.median(before)


def test_nothing_is_pruned_before_the_warm_up(tmp_path):
    settings = {"trials": 8, "sampler": "random", "startup_trials": 2, "warmup_steps": 30, "seed": 1}
    source = search(tmp_path, [LR], FakeLauncher(), **settings)
    pruned = [trial for trial in source.study.trials() if trial.state == TrialState.PRUNED]
    assert pruned and {trial.last_step for trial in pruned} == {30}


def test_a_diverged_trial_failed_and_the_search_goes_on(tmp_path):
    def score(plain, step):
        return math.inf if plain["optimizer"]["lr"] > 1e-3 else far(plain, step)

    source = search(tmp_path, [LR], FakeLauncher(score=score), trials=8, sampler="random", pruner="none")
    for trial in source.study.trials():
        diverged = trial.params["optimizer.lr"] > 1e-3
        assert trial.state == (TrialState.FAIL if diverged else TrialState.COMPLETE)
        assert trial.user_attrs.get("reason") == ("The loss became infinite." if diverged else None)
    assert len({trial.state for trial in source.study.trials()}) == 2


def test_the_processor_time_ends_a_search(tmp_path):
    source = search(tmp_path, [LR], FakeLauncher(cpu_seconds=10.0), trials=None, cpu_seconds=45.0, pruner="none")
    assert len(losses(source)) == 5  # 40 seconds are not enough, 50 are


def test_a_real_search_ends_with_a_command_that_gives_the_winners_score_again(genexp, tmp_path):
    words = ["experiment=ring8_gan", "max_steps=100", "score_every=50", "checkpoint_every=50", "logger=none", *QUICK]
    axes = ["optimizer.lr=tag(log,interval(1e-5,1e-2))", "loss=hinge,non_saturating"]
    asked = ["train", "-m", *words, *axes, "search=optuna", "search.trials=3", "search.metric=mode_kl", "sweep=tried"]
    genexp(*asked)
    runs = SweepFolder(tmp_path / "runs" / "sweeps" / "tried").runs()
    assert len(runs) == 3 and {run.record["status"] for run in runs} == {"complete"}
    scores = {run.record["identity"]: Curve(run).last("mode_kl") for run in runs}
    printed = genexp("best", "runs/sweeps/tried", "metric=mode_kl").stdout.splitlines()
    (again,) = (line.removeprefix("again:").split() for line in printed if line.startswith("again:"))
    assert again[:2] == ["genexp", "train"]
    genexp(*again[1:], "run_dir=again")
    run = Run.open(tmp_path / "again")
    assert Curve(run).last("mode_kl") == scores[run.record["identity"]] == min(scores.values())


# Killed processes


WORKER = Path(__file__).with_name("fake_training.py")


def worker(folder: Path, trials: int, pause: float) -> subprocess.Popen:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, str(WORKER), str(folder), str(trials), str(pause)], env=environment)


def told(folder: Path) -> list[tuple]:
    settings, space = SearchSettings(pruner="none", startup_trials=4), _worker_space()
    study = Study(folder, settings, space, json.loads(json.dumps(_question(space))))
    return [
        (trial.state, trial.params, trial.value, trial.intermediate_values, trial.user_attrs["runs"])
        for trial in study.trials()
    ]


def _worker_space() -> Space:
    return Space.of([*FIXED, LR, "batch_size=range(32,129,32)", "loss=hinge,non_saturating"])


def _question(space: Space) -> dict:
    return {
        "config": "fake",
        "seeds": [0],
        "space": {key: str(axis) for key, axis in sorted(space.axes.items())},
    }


def begun(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.glob("*/begun"))


def test_a_search_that_is_killed_again_and_again_ends_like_an_undisturbed_one(tmp_path):
    trials = 10
    assert worker(tmp_path / "calm", trials, 0.0).wait(timeout=60) == 0
    rng, kills = random.Random(0), 0
    for _ in range(5):
        process = worker(tmp_path / "killed", trials, 0.03)
        deadline = time.monotonic() + 30
        while not (tmp_path / "killed" / JOURNAL).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.2, 1.2))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert worker(tmp_path / "killed", trials, 0.0).wait(timeout=60) == 0
    assert kills >= 3
    assert told(tmp_path / "killed") == told(tmp_path / "calm")
    assert len(told(tmp_path / "killed")) == trials


def test_two_processes_share_one_search(tmp_path):
    trials = 10
    both = [worker(tmp_path, trials, 0.05) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    result = told(tmp_path)
    assert len(result) == trials
    assert all(state == TrialState.COMPLETE for state, *_ in result)
    points = [tuple(params.values()) for _, params, *_ in result]
    assert len(set(points)) == trials  # no process repeats what another one drew
    assert begun(tmp_path) == trials  # and none trains another's


def test_a_half_written_journal_is_mended(tmp_path):
    search(tmp_path, [LR], FakeLauncher(), trials=2, pruner="none")
    with open(tmp_path / JOURNAL, "ab") as file:
        file.write(b'{"op_code":5,"worker')
    source = search(tmp_path, [LR], FakeLauncher(), trials=3, pruner="none")
    assert len(losses(source)) == 3 and None not in losses(source)
    assert all(json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines())
    JournalLock(tmp_path / "absent").acquire()  # nothing to mend


def test_a_point_that_was_half_drawn_is_completed_as_it_would_have_been(tmp_path):
    space, question = _worker_space(), {"config": "fake"}
    calm = Study(tmp_path / "calm", SearchSettings(sampler="random"), space, question)
    with calm.turn():
        whole = calm.point(calm.ask())
    half = Study(
        tmp_path / "half",
        SearchSettings(sampler="random"),
        Space(space.fixed, {LR.split("=")[0]: space.axes["optimizer.lr"]}),
        question,
    )
    with half.turn():
        assert set(half.point(half.ask())) == {"optimizer.lr"}
    later = Study(tmp_path / "half", SearchSettings(sampler="random"), space, question)
    with later.turn():
        assert later.point(0) == whole

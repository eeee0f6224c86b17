"""The numbers of a sweep's jobs: the same list as the sweep's, a job found from its number alone."""

import pytest

from genexp.commands import indexed
from genexp.commands.multirun import Asked
from genexp.config import compose_train
from genexp.errors import UserError
from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.jobs import combinations

WORDS = ["dataset=ring8", "network=mlp", "model=gan", "loss=hinge,wasserstein", "batch_size=32,64"]


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEXP_OUTPUT", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("extra", [[], ["seeds=3"], ["seed=7,5"], ["seeds=2", "seed=4"]])
def test_the_list_is_that_of_the_whole_sweep(output, extra):
    asked = Asked.of([*WORDS, *extra], None)
    whole = asked.folder.jobs(combinations(asked.request.overrides), asked.settings.config.seeds, None)
    lines = list(indexed.listed([*WORDS, *extra], None))
    assert lines == [f"{number} {job.label}" for number, job in enumerate(whole)]
    assert not any(output.iterdir())  # nothing is written


def test_each_number_prepares_the_folder_that_the_whole_sweep_has(output):
    words = [*WORDS, "seeds=2", "sweep=name"]
    asked = Asked.of(words, None)
    whole = asked.folder.jobs(combinations(asked.request.overrides), 2, None)
    for number in (7, 0, 3):
        run, code = indexed.prepared(words, str(number), None)
        assert code is None
        assert run.folder == whole[number].run.folder
        assert run.config == whole[number].plain
        assert (run.record["status"], run.record["sweep"]) == ("queued", "name")
        assert run.record["overrides"] == list(whole[number].overrides)
    assert len(SweepFolder(output / "sweeps" / "name").runs()) == 3


def test_a_job_is_found_without_composing_the_others(output, monkeypatch):
    counted = []

    def counting(jobs, seeds, config_dir=None):
        counted.extend(jobs)
        return compose_seeds(jobs, seeds, config_dir)

    compose_seeds = indexed.Asked.of.__globals__["configs"].compose_seeds
    monkeypatch.setattr("genexp.config.compose_seeds", counting)
    indexed.prepared(["dataset=ring8", "network=mlp", "batch_size=range(1,200)"], "150", None)
    assert len(counted) == 2  # the first, for the sweep's own settings, and the one that is meant
    assert "batch_size=151" in counted[-1]


@pytest.mark.parametrize("index", ["8", "-1", "one", "1.0", ""])
def test_a_number_that_no_job_has_is_one_sentence(output, index):
    with pytest.raises(UserError, match=r"There is no job .*the sweep has 8, so give --index 0 to 7\."):
        indexed.prepared([*WORDS, "seeds=2"], index, None)
    assert not any(output.iterdir())


def test_a_value_that_stands_twice_is_named(output):
    words = ["dataset=ring8", "network=mlp", "loss=hinge,wasserstein,hinge"]
    with pytest.raises(UserError, match="The jobs 0 and 2 are the same run"):
        list(indexed.listed(words, None))


def test_a_search_has_no_numbers(output):
    words = ["dataset=ring8", "network=mlp", "search=random", "optimizer.lr=interval(0.0001,0.01)"]
    for call in (lambda: list(indexed.listed(words, None)), lambda: indexed.prepared(words, "0", None)):
        with pytest.raises(UserError, match="search=none"):
            call()


@pytest.mark.parametrize(("status", "code"), [("complete", 0), ("diverged", 3), ("failed", None), ("stopped", None)])
def test_what_would_come_out_the_same_is_not_trained_again(output, capsys, status, code):
    run, _ = indexed.prepared(WORDS, "1", None)
    run.update(status=status)
    again, found = indexed.prepared(WORDS, "1", None)
    assert (again.folder, found) == (run.folder, code)
    assert (f"is {status} already" in capsys.readouterr().out) == (code is not None)


def test_the_call_is_written_down_with_its_number(output):
    words = [*WORDS, "sweep=name"]
    indexed.prepared(words, "2", None)
    (call,) = SweepFolder(output / "sweeps" / "name").calls()
    assert call["command"] == ["genexp", "train", "-m", *words, "--index", "2"]
    assert call["jobs"] == 4


def test_the_flags_need_a_sweep(genexp):
    for flag in (["--jobs"], ["--index", "0"]):
        done = genexp("train", "dataset=ring8", *flag, check=False)
        assert done.returncode == 2
        assert done.stderr == "genexp: --index and --jobs are about the jobs of a sweep: add -m.\n"


def test_the_config_of_a_numbered_job_is_that_of_its_overrides(output):
    run, _ = indexed.prepared([*WORDS, "seeds=2"], "5", None)
    plain = compose_train(run.record["overrides"]).plain
    assert {**plain, "name": run.config["name"], "sweep": run.config["sweep"]} == run.config

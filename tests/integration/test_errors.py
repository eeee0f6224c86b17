"""Wrong inputs through the real command line: one sentence, exit code 2, nothing written."""

import pytest
from tests.cases import TINY

TRAIN = ["train", *TINY]
WRONG = {
    "command": (["trian"], "did you mean train?"),
    "option of a group": (["train", "loss=hing"], "did you mean hinge?"),
    "key": (["train", "optimizer.lrr=1"], "did you mean optimizer.lr?"),
    "key added": (["train", "+optimizer.momentumm=1"], "momentumm"),
    "top-level key": (["train", "batchsize=3"], "did you mean batch_size?"),
    "top-level key added": (["train", "+batchsize=3"], "batchsize"),
    "type": (["train", "seed=abc"], "seed"),
    "syntax": (["train", "seed=[1"], "seed=[1"),
    "accelerator": ([*TRAIN, "trainer.accelerator=foo"], "auto or cpu or gpu"),
    "strategy": ([*TRAIN, "trainer.strategy=ddp"], "player_ddp"),
    "threads": ([*TRAIN, "trainer.threads=0"], "trainer.threads=0"),
    "schedule": ([*TRAIN, "schedule=linear", "schedule.start=1.0"], "schedule.start=1.0"),
    "flag": (["train", "--verbose"], "--verbose"),
    "config folder": (["train", "--config-dir", "nowhere"], "nowhere"),
    "batch size": ([*TRAIN, "batch_size=0"], "batch_size=0"),
    "word for a number": ([*TRAIN, "optimizer.lr=fast"], "optimizer.lr=fast"),
    "key of a penalty that is not chosen": (["train", "penalty.r1.interval=16"], "penalty=r1"),
    "key of another option": (["train", "dataset=ring8", "network=mlp", "evaluation.k=5"], "does not take it"),
    "folder of a sweep's job": (["train", "-m", "seed=0,1", "run_dir=x"], "leave run_dir out"),
    "negative learning rate": ([*TRAIN, "optimizer.lr=-1"], "optimizer.lr=-1"),
    "unbounded loss": ([*TRAIN, "loss=wasserstein"], "constraint=clip or penalty=gp"),
    "penalty with BatchNorm": (["train", "dataset=digits", "network.encoder.base=2", "penalty=r1"], "BatchNorm"),
    "two bounds on one slope": ([*TRAIN, "constraint=clip", "penalty=gp"], "drop one of the two"),
    "reversal of a loss that is not zero-sum": ([*TRAIN, "plan=gradient_reversal"], "use plan=single_loss"),
    "factor that Adam divides out": ([*TRAIN, "plan=single_loss", "plan.ratio=2"], "optimizer.critic_lr"),
    "trust region of one update": ([*TRAIN, "penalty=trust_region"], "plan.same_latents=true"),
    "image network on points": (["train", "dataset=ring8", "network=dcgan", "logger=none"], "network=mlp"),
    "plan of another family": ([*TRAIN, "model=vae", "plan=alternating"], "plan=minimize"),
    "loss of another family": ([*TRAIN, "model=vae", "loss=hinge"], "loss=elbo"),
    "batch that does not divide": ([*TRAIN, "trainer=ddp", "trainer.devices=3"], "multiple of 3"),
    "devices without strategy": ([*TRAIN, "trainer.devices=2"], "trainer=ddp"),
    "float16": ([*TRAIN, "trainer.precision=16-mixed"], "bf16-mixed"),
    "absent GPUs": ([*TRAIN, "trainer.accelerator=gpu", "trainer=ddp", "trainer.devices=32"], "accelerator=cpu"),
    "missing data": (["train", "dataset=mnist", "dataset.path=./absent", "logger=none"], "absent"),
    "plan that updates nobody": ([*TRAIN, "plan.critic=0"], "plan.critic=0"),
    "ema": ([*TRAIN, "ema=decay", "ema.decay=2"], "ema.decay=2"),
    "config file with a tab": (["train", "--config-dir", "{broken}", "model=broken"], "config file cannot be read"),
    "config file of a run": (["train", "resume={damaged}"], "config.yaml is damaged"),
    "draws of the evaluation": ([*TRAIN, "evaluation.permutations=0"], "evaluation.permutations=0"),
    "run to resume": (["train", "resume=runs/absent"], "runs/absent"),
    "run to evaluate": (["evaluate", "runs/absent"], "runs/absent"),
    "run to sample": (["sample"], "one run folder"),
    "setting of sample": (["sample", "runs/x", "temprature=2"], "temprature"),
    "group to list": (["list", "losses"], "losses"),
}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """A folder of configs with a tab in one, and a run whose config is cut off."""
    broken, damaged = (tmp_path_factory.mktemp(name) for name in ("broken", "damaged"))
    (broken / "model").mkdir()
    (broken / "model" / "broken.yaml").write_text("_target_: a.B\n\twidth: 3\n")
    (damaged / "run.json").write_text('{"status": "complete"}')
    (damaged / "config.yaml").write_text("seed: [0\n")
    return {"broken": broken, "damaged": damaged}


def placed(word, folders):
    for name, folder in folders.items():
        word = word.replace(f"{{{name}}}", str(folder))
    return word


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_sentence(name, genexp, spoilt, tmp_path):
    arguments, word = WRONG[name]
    done = genexp(*(placed(word, spoilt) for word in arguments), check=False)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("genexp: ") and lines[0].endswith((".", "?"))
    assert word in lines[0], lines[0]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_run_is_not_overwritten(genexp, tmp_path):
    overrides = [*TRAIN, "max_steps=2", "score_every=0", f"run_dir={tmp_path / 'run'}"]
    genexp(*overrides)
    before = (tmp_path / "run" / "run.json").read_bytes()
    done = genexp(*overrides, check=False)
    assert done.returncode == 2 and "resume=auto" in done.stderr
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_resumed_run_keeps_its_config(genexp, tmp_path):
    overrides = [*TRAIN, "max_steps=2", "score_every=0", f"run_dir={tmp_path / 'run'}"]
    genexp(*overrides)
    done = genexp(*overrides, "optimizer.lr=1e-3", "resume=auto", check=False)
    assert done.returncode == 2 and "another config" in done.stderr


def test_divergence_is_a_recorded_failure(genexp, tmp_path):
    overrides = [*TRAIN, "optimizer=sgd", "optimizer.lr=1e30", "max_steps=200", "log_every=10", "score_every=0"]
    done = genexp(*overrides, f"run_dir={tmp_path / 'run'}", check=False)
    assert done.returncode == 3
    assert "diverged" in done.stderr and "Traceback" not in done.stderr
    assert '"status": "diverged"' in (tmp_path / "run" / "run.json").read_text()

"""What a resumed run may be given: other hardware, and nothing that changes what is computed."""

import pytest
from tests.cases import TINY

from genexp import config as configs
from genexp.commands.admission import admit
from genexp.errors import UserError
from genexp.runs import Run

LINE = [*TINY, "model=gan", "model.latent_dim=2", "trainer=ddp", "trainer.num_nodes=2", "name=x"]


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """A run on two machines that was cut off."""
    monkeypatch.setenv("GENEXP_OUTPUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    made = Run(tmp_path / "runs" / "x" / "one")
    made.create(configs.compose_train(LINE).plain, {})
    return made


def trainer(ticket) -> dict:
    return configs.to_plain(ticket.config)["trainer"]


def test_a_run_goes_on_with_its_own_hardware(run):
    for words in ([f"resume={run.folder}"], ["resume=auto"], [*LINE, f"resume={run.folder}"], [*LINE, "resume=auto"]):
        ticket = admit(words, None)
        assert ticket.run.folder == run.folder and not ticket.is_new
        assert trainer(ticket) == run.config["trainer"] and ticket.hardware == {}


def test_a_run_goes_on_with_the_hardware_that_is_named(run):
    one = {**run.config["trainer"], "num_nodes": 1, "devices": 1}
    for words in (
        [f"resume={run.folder}", "trainer.num_nodes=1", "trainer.devices=1"],
        [f"resume={run.folder}", "trainer.num_nodes=1", "trainer.devices=1", "progress=false"],
        ["resume=auto", "trainer.num_nodes=1", "trainer.devices=1"],
        [*LINE, f"resume={run.folder}", "trainer.num_nodes=1", "trainer.devices=1"],
    ):
        ticket = admit(words, None)
        assert ticket.run.folder == run.folder
        assert trainer(ticket) == one
        assert ticket.hardware == {"num_nodes": 1, "devices": 1}
    assert run.config["trainer"]["num_nodes"] == 2  # what was asked for stays on record


def test_another_option_of_the_group_takes_its_place(run):
    ticket = admit([f"resume={run.folder}", "trainer=default", "trainer.accelerator=cpu"], None)
    assert trainer(ticket)["strategy"] == "auto" and "timeout_s" not in trainer(ticket)
    assert ticket.hardware == {"num_nodes": 1, "devices": 1, "strategy": "auto", "threads": None}


def test_how_patient_a_run_is_changes_nothing(run):
    ticket = admit([f"resume={run.folder}", "trainer.timeout_s=600"], None)
    assert trainer(ticket)["timeout_s"] == 600 and ticket.hardware == {}
    patient = configs.compose_train([*LINE, "trainer.timeout_s=600"]).plain
    assert configs.identity(patient) == run.record["identity"]


@pytest.mark.parametrize("other", ["seed=5", "batch_size=64", "max_steps=7"])
def test_what_changes_the_numbers_is_refused(run, other):
    with pytest.raises(UserError, match="was trained with another config"):
        admit([*LINE, other, f"resume={run.folder}", "trainer.num_nodes=1"], None)


def test_with_nothing_to_resume_the_line_starts_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEXP_OUTPUT", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    ticket = admit(["resume=auto", "trainer=ddp", "trainer.num_nodes=3"], None)
    assert ticket.is_new and trainer(ticket)["num_nodes"] == 3

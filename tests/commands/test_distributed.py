"""What the first process says of other hardware; real processes are in tests/integration/test_machines.py."""

from tests.cases import TINY

from genexp import config as configs
from genexp.commands.admission import admit
from genexp.commands.distributed import hardware_of, note_hardware
from genexp.runs import Run


def test_other_hardware_is_recorded_with_its_step_and_said(tmp_path, capsys):
    run = Run(tmp_path / "run")
    run.create(configs.compose_train([*TINY, "trainer=ddp", "trainer.num_nodes=2", "name=x"]).plain, {})
    ticket = admit([f"resume={run.folder}", "trainer.num_nodes=1"], None)
    assert hardware_of(ticket).processes == 2
    note_hardware(ticket, 40)
    note_hardware(admit([f"resume={run.folder}", "trainer.devices=4"], None), 60)
    note_hardware(admit([f"resume={run.folder}"], None), 80)
    assert run.record["hardware"] == [{"step": 40, "num_nodes": 1}, {"step": 60, "devices": 4}]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0] == (
        "genexp: with trainer.num_nodes=1 the run is from step 40 on statistically the same, not to the bit."
    )

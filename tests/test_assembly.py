"""What the `trainer` group refuses before anything starts."""

import pytest

from genexp import config as configs
from genexp.assembly import Hardware
from genexp.errors import UserError

DDP = ["trainer=ddp", "trainer.accelerator=cpu"]


def hardware(*overrides: str, batch_size: int = 32) -> Hardware:
    return Hardware.of(configs.compose_train([*DDP, *overrides]).config.trainer, batch_size)


def test_the_processes_of_all_machines_share_the_batch():
    assert hardware("trainer.devices=4", "trainer.num_nodes=2").processes == 8
    with pytest.raises(UserError, match="batch_size=36 does not divide among 8 processes: choose a multiple of 8"):
        hardware("trainer.devices=4", "trainer.num_nodes=2", batch_size=36)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("trainer.num_nodes=0", "trainer.num_nodes=0 is out of range"),
        ("trainer.num_nodes=two", "trainer.num_nodes=two is out of range"),
        ("trainer.timeout_s=0", "trainer.timeout_s=0 is out of range: give at least 1 second"),
        ("trainer.timeout_s=soon", "trainer.timeout_s=soon is out of range"),
    ],
)
def test_what_is_no_number_of_machines_or_seconds_is_one_sentence(override, sentence):
    with pytest.raises(UserError, match=sentence):
        hardware(override)


def test_several_machines_need_a_strategy_that_knows_players():
    with pytest.raises(UserError, match="add trainer=ddp"):
        hardware("trainer.devices=1", "trainer.num_nodes=2", "trainer.strategy=auto")


def test_a_config_from_before_there_were_machines_is_one_machine():
    node = configs.compose_train([]).config.trainer
    assert "num_nodes" not in node
    assert Hardware.of(node, 32).processes == 1

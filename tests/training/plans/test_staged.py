"""Stages: who moves when, and that nobody else does."""

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.training.plans import Stages
from genexp.training.players import Players


class Game:
    def __init__(self):
        self.modules = {name: nn.Linear(2, 1, bias=False) for name in "abc"}
        self.log = []

    def stage_loss(self, player, batch):
        return sum(module(batch["x"]).mean() for module in self.modules.values())

    def updated(self, player):
        self.log.append(player)


def test_each_player_moves_in_its_stage_alone():
    game, plan = Game(), Stages(["a", "b", "c"], [2, 3])
    optimizers = {name: torch.optim.SGD(module.parameters(), lr=0.1) for name, module in game.modules.items()}
    players = Players(game.modules, optimizers)
    for step in range(5):
        before = {name: module.weight.clone() for name, module in game.modules.items()}
        plan.run(game, players, [{"x": torch.ones(4, 2)}], step)
        moved = {name for name, module in game.modules.items() if not torch.equal(before[name], module.weight)}
        assert moved == {"aabcc"[step]}
        assert {name for name, module in game.modules.items() if module.weight.grad is not None} == moved
    assert "".join(game.log) == "aabcc"
    assert [plan.start_of(name) for name in "abc"] == [0, 2, 3]


def test_impossible_stages_are_refused():
    with pytest.raises(UserError, match="do not part 2 players: give 1 steps"):
        Stages(["a", "b"], [])
    with pytest.raises(UserError, match="give rising steps"):
        Stages(["a", "b", "c"], [5, 5])
    with pytest.raises(UserError, match="give rising steps"):
        Stages(["a", "b"], [0])

"""Update plans: who is updated when, as data.

A plan knows the players and the losses of a game and nothing of networks. One execution of a plan is one step of the
clock. It reads `sub_batches` batches of real data: k critic updates see k fresh batches, as in the WGAN papers.
"""

from genexp.training.plans.ahead import Consensus, Extragradient, Unrolled
from genexp.training.plans.at_once import GradientReversal, Simultaneous, SingleLoss
from genexp.training.plans.game import Batch, OnePlayerGame, Plan, TwoPlayerGame
from genexp.training.plans.in_turn import Alternating, LongTurns, Minimize
from genexp.training.plans.staged import StagedGame, Stages

__all__ = [
    "Alternating",
    "Batch",
    "Consensus",
    "Extragradient",
    "GradientReversal",
    "LongTurns",
    "Minimize",
    "OnePlayerGame",
    "Plan",
    "Simultaneous",
    "SingleLoss",
    "StagedGame",
    "Stages",
    "TwoPlayerGame",
    "Unrolled",
]

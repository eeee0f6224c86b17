"""f-divergences: a table of them, and those that a user writes."""

from genexp.objectives.divergences.base import Divergence, recognise, same, steepest
from genexp.objectives.divergences.own import divergence_of, with_closed_conjugate
from genexp.objectives.divergences.table import TABLE

__all__ = ["TABLE", "Divergence", "divergence_of", "recognise", "same", "steepest", "with_closed_conjugate"]

r"""The table of f-divergences, each with its closed forms.

References:
    f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization (Nowozin, Cseke, Tomioka,
    2016), https://arxiv.org/abs/1606.00709. Its table pairs Pearson's f with Neyman's integral; here each f stands
    beside the divergence $E_q f(p/q)$ that it gives, and Pearson's conjugate is constant below -2, as it must be.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.objectives.divergences.base import Divergence, logistic, onto

LOG_2 = math.log(2)
INFINITY = float("inf")


def _le_cam_conjugate(t: Tensor) -> Tensor:
    root = torch.sqrt(1 - 2 * t.clamp_min(-1.5))  # constant below the slope of f at 0
    return (1 - root) * (3 - root) / 2


_ROWS = (
    Divergence(
        name="kl",
        formula="u*log(u)",
        activation_formula="v",
        conjugate_formula="exp(t - 1)",
        f=lambda u: u * u.log(),
        log_ratio_real=lambda v: v + 1,
        log_ratio_fake=torch.exp,
        curvature=torch.ones_like,
        activation=lambda v: v,
        closed_conjugate=lambda t: torch.exp(t - 1),
    ),
    Divergence(
        name="reverse_kl",
        formula="-log(u)",
        activation_formula="-exp(-v)",
        conjugate_formula="-1 - log(-t)",
        f=lambda u: -u.log(),
        log_ratio_real=lambda v: -torch.exp(-v),
        log_ratio_fake=lambda v: v - 1,
        curvature=lambda v: torch.exp(-v),
        activation=onto(-INFINITY, 0.0),
        closed_conjugate=lambda t: -1 - torch.log(-t),
    ),
    Divergence(
        name="pearson",
        formula="(u - 1)**2",
        activation_formula="v",
        conjugate_formula="(max(t, -2)/2 + 1)**2 - 1",
        f=lambda u: (u - 1).square(),
        log_ratio_real=lambda v: 2 * torch.expm1(v),
        log_ratio_fake=lambda v: torch.expm1(2 * v),
        curvature=lambda v: 2 * torch.exp(v),
        activation=lambda v: v,
        closed_conjugate=lambda t: (t.clamp_min(-2) / 2 + 1).square() - 1,
    ),
    Divergence(
        name="neyman",
        formula="(1 - u)**2/u",
        activation_formula="1 - exp(-v)",
        conjugate_formula="2 - 2*sqrt(1 - t)",
        f=lambda u: (1 - u).square() / u,
        log_ratio_real=lambda v: -torch.expm1(-2 * v),
        log_ratio_fake=lambda v: -2 * torch.expm1(-v),
        curvature=lambda v: 2 * torch.exp(-2 * v),
        activation=onto(-INFINITY, 1.0),
        closed_conjugate=lambda t: 2 - 2 * torch.sqrt(1 - t),
    ),
    Divergence(
        name="squared_hellinger",
        formula="(sqrt(u) - 1)**2",
        activation_formula="1 - exp(-v)",
        conjugate_formula="t/(1 - t)",
        f=lambda u: (u.sqrt() - 1).square(),
        log_ratio_real=lambda v: -torch.expm1(-v / 2),
        log_ratio_fake=lambda v: torch.expm1(v / 2),
        curvature=lambda v: torch.exp(-v / 2) / 2,
        activation=onto(-INFINITY, 1.0),
        closed_conjugate=lambda t: t / (1 - t),
    ),
    Divergence(
        name="jeffreys",
        formula="(u - 1)*log(u)",
        activation_formula="v",
        f=lambda u: (u - 1) * u.log(),
        log_ratio_real=lambda v: v - torch.expm1(-v),
        log_ratio_fake=lambda v: torch.expm1(v) + v,
        curvature=lambda v: 1 + torch.exp(-v),
        activation=lambda v: v,
    ),
    Divergence(
        name="js",
        formula="(u*log(u) - (u + 1)*log((u + 1)/2))/2",
        activation_formula="(log(2) - log(1 + exp(-v)))/2",
        conjugate_formula="-log(2 - exp(2*t))/2",
        f=lambda u: (u * u.log() - (u + 1) * ((u + 1) / 2).log()) / 2,
        log_ratio_real=lambda v: (LOG_2 + logistic(v)) / 2,
        log_ratio_fake=lambda v: (F.softplus(v) - LOG_2) / 2,
        curvature=lambda v: torch.sigmoid(-v) / 2,
        activation=lambda v: (LOG_2 + logistic(v)) / 2,
        closed_conjugate=lambda t: -torch.log(2 - torch.exp(2 * t)) / 2,
    ),
    Divergence(
        name="js_doubled",
        formula="u*log(u) - (u + 1)*log((u + 1)/2)",
        activation_formula="log(2) - log(1 + exp(-v))",
        conjugate_formula="-log(2 - exp(t))",
        f=lambda u: u * u.log() - (u + 1) * ((u + 1) / 2).log(),
        log_ratio_real=lambda v: LOG_2 + logistic(v),
        log_ratio_fake=lambda v: F.softplus(v) - LOG_2,
        curvature=lambda v: torch.sigmoid(-v),
        activation=lambda v: LOG_2 + logistic(v),
        closed_conjugate=lambda t: -torch.log(2 - torch.exp(t)),
    ),
    Divergence(
        name="gan",
        formula="u*log(u) - (u + 1)*log(u + 1)",
        activation_formula="-log(1 + exp(-v))",
        conjugate_formula="-log(1 - exp(t))",
        f=lambda u: u * u.log() - (u + 1) * (u + 1).log(),
        log_ratio_real=logistic,
        log_ratio_fake=F.softplus,
        curvature=lambda v: torch.sigmoid(-v),
        activation=logistic,
        closed_conjugate=lambda t: -torch.log(-torch.expm1(t)),
        at_one=-2 * LOG_2,
    ),
    Divergence(
        name="le_cam",
        formula="(u - 1)**2/(2*(u + 1))",
        activation_formula="tanh(v) - 1/2",
        conjugate_formula="(1 - sqrt(1 - 2*max(t, -3/2)))*(3 - sqrt(1 - 2*max(t, -3/2)))/2",
        f=lambda u: (u - 1).square() / (2 * (u + 1)),
        log_ratio_real=lambda v: 0.5 - 2 * torch.sigmoid(-v).square(),
        log_ratio_fake=lambda v: (1 - 2 * torch.sigmoid(-v)) * (1.5 - torch.sigmoid(-v)),
        curvature=lambda v: 4 * torch.sigmoid(-v).square() * torch.sigmoid(v),
        activation=onto(-1.5, 0.5),
        closed_conjugate=_le_cam_conjugate,
    ),
    Divergence(
        name="total_variation",
        formula="abs(u - 1)/2",
        activation_formula="tanh(v)/2",
        conjugate_formula="t",
        f=lambda u: (u - 1).abs() / 2,
        log_ratio_real=lambda v: v.sign() / 2,
        log_ratio_fake=lambda v: v.sign() / 2,
        curvature=torch.zeros_like,
        activation=onto(-0.5, 0.5),
        closed_conjugate=lambda t: t,
        smooth=False,
    ),
)

TABLE: dict[str, Divergence] = {row.name: row for row in _ROWS}
"""Every divergence by name; a multiple of another one comes after it."""

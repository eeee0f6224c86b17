"""Write the tables of docs/losses.md: the losses, the f-divergences and the likelihood-ratio pairs.

    python benchmarks/losses.py

Each loss is trained to its best critic on four points, p = (.1, .2, .3, .4) and q = (.4, .1, .25, .25), where a table
of four scores is every critic that there is; the divergence that it reports stands beside the true one. The cost is
that of both losses and their gradients on 256 scores, over that of the non-saturating loss, the best of several turns.
"""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the four points, which the tests know

import sympy
import torch
from tests.objectives.discrete import LOG_RATIO, PLACES, P, Q, best_critic, critic_loss, estimate
from torch import Tensor

from genexp.evaluation.metrics.transport import w1_lp
from genexp.objectives.adversarial import (
    FGAN,
    AdversarialLoss,
    Hinge,
    LeastSquares,
    LikelihoodRatio,
    NonSaturating,
    Pair,
    QuadraticPotential,
    Relativistic,
    Saturating,
    Wasserstein,
)
from genexp.objectives.adversarial.relativistic import COMPARISONS, PAIRINGS
from genexp.objectives.divergences import TABLE, Divergence
from genexp.objectives.expressions import read, variable
from genexp.objectives.ratio_pairs import PAIRS
from readme import fill

COMMAND = "python benchmarks/losses.py"
NUMERIC = "u*log(u) - 2*log((1 + u)/2)"  # whose conjugate has no closed form
LOSSES: dict[tuple[str, ...], AdversarialLoss] = {
    ("loss=non_saturating",): NonSaturating(),
    ("loss=saturating",): Saturating(),
    ("loss=hinge",): Hinge(),
    ("loss=least_squares",): LeastSquares(),
    ("loss=wasserstein",): Wasserstein(),
    ("loss=quadratic_potential",): QuadraticPotential(),
    **{
        ("loss=relativistic", f"loss.pairing={pairing}", f"loss.comparison={comparison}"): Relativistic(
            pairing, comparison
        )
        for pairing in PAIRINGS
        for comparison in COMPARISONS
    },
    ("loss=pair", "model=pair_gan"): Pair(),
    ("loss=f_gan",): FGAN(),
    **{("loss=f_gan", f'loss.f="{f}"'): FGAN(f=f) for f in ("u*log(u)", "u**3 - 1")},
    ("loss=f_gan", f'loss.f="{NUMERIC}"', "loss.activation=domain"): FGAN(f=NUMERIC, activation="domain"),
    ("loss=likelihood_ratio",): LikelihoodRatio(),
    ("loss=likelihood_ratio", 'loss.omega="log(r)"', 'loss.rho="exp(-t)"'): LikelihoodRatio("", "log(r)", "exp(-t)"),
}


def formula(text: str, name: str, positive: bool = False) -> str:
    """A formula in LaTeX, fit for a cell of a table."""
    expression = read(text, variable(name, positive), name)
    return f"${sympy.latex(expression, ln_notation=False).replace('|', chr(92) + 'vert ')}$"


def truth(loss: AdversarialLoss) -> float | None:
    """The divergence that the loss bounds, computed without a critic; None where that takes one."""
    assert loss.bound is not None
    name = loss.bound.name
    if name == "w1":
        return w1_lp(PLACES, PLACES, P, Q)
    if name.endswith("_of_pairs") and (loss.scores_pairs or name == "js_of_pairs"):
        outer = torch.outer(P, Q).flatten(), torch.outer(Q, P).flatten()
        return TABLE[name.removesuffix("_of_pairs")].between(*outer).item()
    if name == "own" and isinstance(loss, FGAN):
        return loss.convex.between(P, Q).item()
    return TABLE[name].between(P, Q).item() if name in TABLE else None


def reported(loss: AdversarialLoss) -> float:
    """What the best critic reports: found by training, or known where the loss has kinks or a constraint."""
    if isinstance(loss, Hinge) or (isinstance(loss, LikelihoodRatio) and loss.formulas.rho is None):
        return estimate(loss, LOG_RATIO.sign())
    return estimate(loss, steepest_line() if isinstance(loss, Wasserstein) else best_critic(loss))


def steepest_line() -> Tensor:
    """The best critic of slope 1 on a line: it falls where q has more to the right, and rises elsewhere."""
    excess = (P - Q).cumsum(0)[:-1]  # of p's distribution function over q's
    return torch.cat([torch.zeros(1, dtype=P.dtype), -excess.sign().cumsum(0)])


def seconds(losses: Iterable[AdversarialLoss]) -> list[float]:
    """The best time of each loss and its gradients, on 256 scores, over rounds in which all of them take turns."""
    works = [both_losses(loss) for loss in losses]
    return [min(times) for times in zip(*([timed(work, 40) for work in works] for _ in range(12)), strict=True)]


def both_losses(loss: AdversarialLoss) -> Callable[[], None]:
    """What a step does of a loss."""
    real, fake = torch.randn(2, 256).requires_grad_().unbind()
    data = torch.randn(2, 256, 2)

    def once() -> None:
        batch = loss.between(*data)
        torch.autograd.grad(batch.critic(real, fake), (real, fake))
        torch.autograd.grad(batch.generator(fake, real), fake)

    return once


def timed(work: Callable[[], None], turns: int) -> float:
    started = time.perf_counter()
    for _ in range(turns):
        work()
    return (time.perf_counter() - started) / turns


def losses_table() -> list[str]:
    """Every loss with what its best critic reports, the truth, and its cost."""
    costs = seconds(LOSSES.values())
    rows = ["| loss | `divergence/` | true | reported | cost |", "|---|---|---|---|---|"]
    for (overrides, loss), cost in zip(LOSSES.items(), costs, strict=True):
        assert loss.bound is not None
        true = truth(loss)
        shown = "-" if true is None else f"{true:.6f}"
        line = " ".join(f"`{override}`" for override in overrides)
        rows.append(f"| {line} | `{loss.bound.name}` | {shown} | {reported(loss):.6f} | {cost / costs[0]:.1f} |")
    return rows


def divergence_row(row: Divergence) -> str:
    """A divergence with its formulas."""
    conjugate = "numeric" if row.conjugate_formula is None else formula(row.conjugate_formula, "t")
    slope = sympy.diff(read(row.formula, variable("u", True), "u"), variable("u", True))
    best = sympy.latex(sympy.factor(slope) if row.smooth else slope, ln_notation=False)
    here = float(row.log_ratio_real(torch.zeros(1, dtype=torch.float64)))
    activation = formula(row.activation_formula or "", "v")
    loss = FGAN(row.name)
    trained = -critic_loss(loss, best_critic(loss)).item()
    cells = [f"`{row.name}`", formula(row.formula, "u", True), conjugate, activation, f"${best}$", f"{here:.4g}"]
    return f"| {' | '.join(cells)} | {row.between(P, Q).item():.6f} | {trained:.6f} |"


def pair_row(name: str) -> str:
    """A pair with its formulas and the divergence that follows from it."""
    pair, loss = PAIRS[name], LikelihoodRatio(name)
    assert loss.known is not None and pair.phi is not None and pair.psi is not None
    parts = [formula(pair.omega, "r", True), "the limit" if pair.rho is None else formula(pair.rho, "t")]
    parts += [formula(part, "t") for part in (pair.phi, pair.psi)]
    value = f"{loss.known[1]:g} x `{loss.known[0]}`"
    true = TABLE[loss.known[0]].between(P, Q).item()
    return f"| `{name}` | {' | '.join(parts)} | {value} | {true:.6f} | {reported(loss):.6f} |"


def main() -> None:
    """Compute and write."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    points = "p = (.1, .2, .3, .4) and q = (.4, .1, .25, .25) at 0, 1, 2, 3."
    fill("losses", losses_table(), COMMAND, f"{points} Cost: time of both losses over `loss=non_saturating`.")
    head = ["| name | $f(u)$ | $f^*(t)$ | `domain` | $T^* = f'(u)$ | at 1 | true | trained |", "|---|" + "---|" * 7]
    fill(
        "divergences",
        [*head, *(divergence_row(row) for row in TABLE.values())],
        COMMAND,
        f"$D_f(p \\| q)$ for {points}",
    )
    head = [
        "| pair | $\\omega(r)$ | $\\rho(t)$ | $\\varphi(t)$ | $\\psi(t)$ | measures | true | trained |",
        "|---|" + "---|" * 7,
    ]
    fill("ratio-pairs", [*head, *(pair_row(name) for name in PAIRS)], COMMAND, points)


if __name__ == "__main__":
    main()

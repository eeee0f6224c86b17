r"""Eigenvalues: of the flow's Jacobian and of the update map at the equilibrium, exactly or the leading ones alone.

Near an equilibrium $s^*$ the flow is $\dot e = J e$ and the update map $e \mapsto M e$ for $e = s - s^*$. The flow
converges if all eigenvalues of $J = v'(s^*)$ have negative real parts, the update map if its spectral radius
$\rho = \max |\lambda(M)|$, $M = F'(s^*)$, is below 1. Explicit Euler steps of length $h$ have $M = 1 + h J$: purely
imaginary eigenvalues $\pm i\omega$ circle in the flow and give $\rho = \sqrt{1 + h^2\omega^2} > 1$.

Both are differentiated by central differences of fourth order, in float64. A graph does not know them: penalties and
losses cut it between the players, which changes no gradient but takes the flow's derivatives across them away, and an
optimizer writes in place.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs
from torch import Tensor

from genexp.dynamics.arena import Arena
from genexp.errors import UserError

NEAR, NEARER = 1e-4, 1e-5
"""Half-widths of the differences; what is smooth has the same slope on both."""
SAME_SLOPE = 1e-6
FINE = 1e-7
"""For networks: the flow of one with ReLUs jumps wherever a unit switches, which so small a step all but never does."""
BASIS, EXACT = 40, 1e-6
"""Vectors that the iteration keeps, and the relative error that it may leave."""
DENSE = 500
"""So many parameters have a matrix; of more the leading eigenvalues are found without one."""


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the flow and of the update map.

    Attributes:
        flow: eigenvalues of the flow's Jacobian, largest real part first; None where it has no derivative.
        step: eigenvalues of the update map over one step, largest modulus first; None where it has no derivative.
    """

    flow: NDArray[np.complex128] | None
    step: NDArray[np.complex128] | None

    @property
    def radius(self) -> float | None:
        """The spectral radius of the update map."""
        return None if self.step is None else float(abs(self.step[0]))


def spectrum(arena: Arena, equilibrium: Tensor) -> Spectrum:
    """All eigenvalues at an equilibrium.

    Arguments:
        arena: the game.
        equilibrium: parameters, (size,).
    """
    slope = smooth_jacobian(arena.flow, equilibrium)
    flow = None if slope is None else _by_real_part(np.linalg.eigvals(slope.numpy()))
    matrix = step_jacobian(arena, arena.extended(equilibrium))
    step = None
    if matrix is not None:
        found = np.linalg.eigvals(matrix.numpy()).astype(complex)
        step = found[np.argsort(-abs(found), kind="stable")]
        step = abs(step) ** (1 / arena.phases) * np.exp(1j * np.angle(step) / arena.phases)
    return Spectrum(flow, step)


def _by_real_part(values: NDArray) -> NDArray[np.complex128]:
    values = values.astype(complex)
    return values[np.lexsort((-values.imag, -values.real))]


def flow_jacobian(arena: Arena, parameters: Tensor, width: float = NEAR) -> Tensor:
    """The Jacobian of the flow, (size, size), by differences of a width."""
    return differences(arena.flow, parameters, width)


def step_jacobian(arena: Arena, state: Tensor) -> Tensor | None:
    """The Jacobian of the update map over all phases, (n, n); None where the map has no derivative.

    Adam and RMSprop divide a gradient by its own size, and a 1-centred gradient penalty points away from a slope of
    zero on all sides: there the differences of two widths disagree.
    """
    return smooth_jacobian(arena.step, state)


def smooth_jacobian(function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor | None:
    """The Jacobian by differences of two widths, None where they disagree."""
    wide, narrow = (differences(function, point, width) for width in (NEAR, NEARER))
    agree = (wide - narrow).abs().max() <= SAME_SLOPE * max(1.0, float(wide.abs().max()))
    return wide if bool(agree) else None


def differences(function: Callable[[Tensor], Tensor], point: Tensor, width: float) -> Tensor:
    r"""The Jacobian by $(8\,(f_{+1} - f_{-1}) - (f_{+2} - f_{-2})) / 12h$ with $f_k = f(x + k h e_i)$.

    Arguments:
        function: maps (n,) to (m,).
        point: where, (n,).
        width: the step $h$.

    Returns:
        The Jacobian, (m, n), exact for polynomials of degree 4.

    Example:
        >>> x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> [round(slope, 9) for slope in differences(lambda x: x**3, x, 1e-2).diag().tolist()]
        [3.0, 12.0]
    """
    columns = []
    for unit in torch.eye(len(point), dtype=point.dtype):
        near, far = (function(point + k * width * unit) - function(point - k * width * unit) for k in (1, 2))
        columns.append((8 * near - far) / (12 * width))
    return torch.stack(columns, 1)


def leading(arena: Arena, parameters: Tensor, count: int = 6, seed: int = 0) -> NDArray[np.complex128]:
    """The eigenvalues of the flow's Jacobian with the largest real parts, without the matrix.

    A product with a vector $x$ is the difference of the flow a little before and behind along $x$.

    Arguments:
        arena: the game.
        parameters: where, (size,).
        count: how many, at least 1; a pair of complex ones may be cut in two.
        seed: of the vector that the iteration starts with.

    Raises:
        UserError: the iteration does not find them all.

    References:
        ARPACK Users' Guide, Lehoucq, Sorensen and Yang, 1998. https://doi.org/10.1137/1.9780898719628
    """
    n = arena.size
    if n <= DENSE:
        return _by_real_part(np.linalg.eigvals(flow_jacobian(arena, parameters, FINE).numpy()))[:count]

    def product(x: NDArray) -> NDArray:
        vector = torch.from_numpy(np.ascontiguousarray(x.reshape(-1))).to(parameters)
        width = FINE / float(vector.norm())
        return (
            (arena.flow(parameters + width * vector) - arena.flow(parameters - width * vector)) / (2 * width)
        ).numpy()

    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    first = np.random.default_rng(seed).standard_normal(n)
    basis = min(n, max(2 * count + 1, BASIS))
    try:
        found = eigs(operator, k=count, ncv=basis, which="LR", v0=first, tol=EXACT, return_eigenvectors=False)
    except ArpackNoConvergence as error:
        raise UserError(
            f"Only {len(error.eigenvalues)} of eigenvalues={count} were found: ask for others, or for a larger batch."
        ) from error
    return _by_real_part(found)

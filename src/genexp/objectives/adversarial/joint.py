"""One loss for both players, by cutting the gradient of the samples."""

from torch import Tensor

from genexp.objectives.adversarial.base import AdversarialLoss


def single_loss(loss: AdversarialLoss, real: Tensor, fake: Tensor, fake_detached: Tensor, ratio: float = 1.0) -> Tensor:
    r"""Joins both players' losses into one, whose single backward pass gives each player its own gradient.

    With $f = D(G(z))$, and $\bar f = D(\mathrm{sg}\,G(z))$ for the same samples behind a stop-gradient,

    $$L = L_D(r, \bar f) + \lambda\,\bigl(L_G(f) - L_G(\bar f)\bigr).$$

    The bracket is zero in value, and its gradient with respect to the critic is zero too; to the generator it
    passes $\nabla L_G$. So the value is $L_D$ exactly and the gradient is $(\nabla_D L_D, \lambda\nabla_G
    L_G)$. Both players move at once: less stable than alternating, so give the critic a penalty such as R1.

    It holds if the critic is the same function in both passes: no dropout, and no layer that changes with
    each forward pass. BatchNorm is exact (its running statistics move twice). A clip of the gradient's norm
    over both players would couple them: clip each by itself.

    Arguments:
        loss: the pair of losses.
        real: scores of data (B,).
        fake: scores of samples (B,), with a graph through critic and generator.
        fake_detached: scores of the same samples, detached (B,), with a graph through the critic alone.
        ratio: $\lambda$, the generator's learning rate over the critic's for plain SGD. Adam and RMSprop
            divide it out again: for them set the learning rates themselves.

    Returns:
        The joint loss, a scalar that equals the critic's loss.

    References:
        The gradient-cutting construction of a one-step GAN (Su, 2019), https://kexue.fm/archives/6387
    """
    held = real.detach()
    difference = loss.generator(fake, held) - loss.generator(fake_detached, held)
    return loss.critic(real, fake_detached) + ratio * difference

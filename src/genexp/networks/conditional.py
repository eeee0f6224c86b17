"""Networks that are told a class: critics (x, y) -> scores, and generators (z, y) -> data.

Each is made of a plain network and of a few weights around it, so that every encoder and decoder will do.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from genexp.errors import UserError
from genexp.networks.activations import activation
from genexp.networks.arguments import at_least, data_shape


class Labels(nn.Module):
    """Classes as vectors: one-hot, or learnt.

    Arguments:
        num_classes: number of classes K.
        dim: numbers in a learnt vector; None for one-hot vectors of K.

    Example:
        >>> Labels(3)(torch.tensor([2, 0])).tolist()
        [[0, 0, 1], [1, 0, 0]]
    """

    def __init__(self, num_classes: int, dim: int | None = None) -> None:
        super().__init__()
        at_least(1, label_dim=1 if dim is None else dim)
        self.dim = num_classes if dim is None else dim
        self.learnt = None if dim is None else nn.Embedding(num_classes, dim)

    def forward(self, y: Tensor) -> Tensor:
        """Maps classes (B,) to vectors (B, dim), whole numbers if they are one-hot."""
        return F.one_hot(y, self.dim) if self.learnt is None else self.learnt(y)


class ConcatenationCritic(nn.Module):
    """Reads a class as part of the datum: more features of a vector, more channels of an image.

    Arguments:
        encoder: makes the network, `encoder(shape=..., outputs=...)`.
        num_classes: number of classes.
        shape: shape of one datum, (C, H, W) or (D,).
        outputs: scores of a datum.
        label_dim: numbers for a class; None for one-hot.

    Example:
        >>> from genexp.networks.mlp import MLPEncoder
        >>> x, y = torch.randn(5, 2), torch.arange(5) % 3
        >>> ConcatenationCritic(MLPEncoder, num_classes=3, shape=(2,))(x, y).shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        encoder: Callable[..., nn.Module],
        num_classes: int,
        shape: Sequence[int],
        outputs: int = 1,
        label_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.labels = Labels(num_classes, label_dim)
        first, *sides = data_shape(shape)
        self.encoder = encoder(shape=(first + self.labels.dim, *sides), outputs=outputs)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps data (B, *shape) and classes (B,) to scores (B, outputs)."""
        labels = self.labels(y).to(x.dtype)
        if x.ndim == 4:
            labels = labels[:, :, None, None].expand(-1, -1, *x.shape[2:])  # (B, dim, H, W)
        return self.encoder(torch.cat([x, labels], dim=1))


class ProjectionCritic(nn.Module):
    r"""Scores a datum by its features $\phi(x)$, and again by their inner product with a vector of its class.

    $$D(x, y) = \langle w, \phi(x)\rangle + b + \langle e_y, \phi(x)\rangle$$

    Where $\log p(y|x)$ and $\log q(y|x)$ are linear in the features but for a term that is the same for all classes,
    what depends on $y$ in the optimal score $\log p(x, y)/q(x, y)$ has this form.

    Arguments:
        encoder: makes the network before the features' activation, `encoder(shape=..., outputs=code_dim)`.
        num_classes: number of classes.
        shape: shape of one datum, (C, H, W) or (D,).
        outputs: scores of a datum.
        code_dim: number of features.

    References:
        cGANs with Projection Discriminator (Miyato, Koyama, 2018), https://arxiv.org/abs/1802.05637

    Example:
        >>> from genexp.networks.mlp import MLPEncoder
        >>> x, y = torch.randn(5, 2), torch.arange(5) % 3
        >>> ProjectionCritic(MLPEncoder, num_classes=3, shape=(2,))(x, y).shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        encoder: Callable[..., nn.Module],
        num_classes: int,
        shape: Sequence[int],
        outputs: int = 1,
        code_dim: int = 128,
    ) -> None:
        super().__init__()
        at_least(1, code_dim=code_dim)
        self.features = nn.Sequential(encoder(shape=data_shape(shape), outputs=code_dim), activation("leaky_relu")())
        self.classes = nn.Embedding(num_classes, code_dim)
        nn.init.xavier_uniform_(self.classes.weight)
        self.score = nn.Linear(code_dim, outputs)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps data (B, *shape) and classes (B,) to scores (B, outputs)."""
        features = self.features(x)  # (B, code_dim)
        return self.score(features) + (self.classes(y) * features).sum(1, keepdim=True)


class ClassifyingCritic(nn.Module):
    """Scores a datum whatever its class, and says which class it takes it to be.

    Arguments:
        encoder: makes the network, `encoder(shape=..., outputs=...)`; the last layer makes scores and logits.
        num_classes: number of classes K.
        shape: shape of one datum, (C, H, W) or (D,).
        outputs: scores of a datum.

    References:
        Conditional Image Synthesis With Auxiliary Classifier GANs (Odena, Olah, Shlens, 2016),
        https://arxiv.org/abs/1610.09585

    Example:
        >>> from genexp.networks.mlp import MLPEncoder
        >>> x, y = torch.randn(5, 2), torch.arange(5) % 3
        >>> ClassifyingCritic(MLPEncoder, num_classes=3, shape=(2,))(x, y).shape
        torch.Size([5, 4])
    """

    def __init__(
        self, encoder: Callable[..., nn.Module], num_classes: int, shape: Sequence[int], outputs: int = 1
    ) -> None:
        super().__init__()
        self.encoder = encoder(shape=data_shape(shape), outputs=outputs + num_classes)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps data (B, *shape) to scores and logits (B, outputs + K); the classes (B,) are not looked at."""
        return self.encoder(x)


class ConcatenationGenerator(nn.Module):
    """Reads a class beside the latent.

    Arguments:
        decoder: makes the network, `decoder(latent_dim=..., shape=...)`.
        num_classes: number of classes.
        latent_dim: dimensions of the latents.
        shape: shape of one datum, (C, H, W) or (D,).
        label_dim: numbers for a class; None for one-hot.

    References:
        Conditional Generative Adversarial Nets (Mirza, Osindero, 2014), https://arxiv.org/abs/1411.1784

    Example:
        >>> from genexp.networks.mlp import MLPDecoder
        >>> z, y = torch.randn(5, 8), torch.arange(5) % 3
        >>> ConcatenationGenerator(MLPDecoder, num_classes=3, latent_dim=8, shape=(2,))(z, y).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        decoder: Callable[..., nn.Module],
        num_classes: int,
        latent_dim: int,
        shape: Sequence[int],
        label_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.labels = Labels(num_classes, label_dim)
        self.decoder = decoder(latent_dim=latent_dim + self.labels.dim, shape=shape)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) and classes (B,) to data (B, *shape)."""
        return self.decoder(torch.cat([z, self.labels(y).to(z.dtype)], dim=1))


class ConditionalBatchNorm(nn.Module):
    r"""A BatchNorm whose gain and bias depend on the class, $(1 + g_y)\,\mathrm{BN}(x) + b_y$.

    With $\mathrm{BN}(x) = \gamma\hat x + \beta$ the gain is $(1 + g_y)\gamma$. Both offsets start at zero, where the
    layer is the plain one to the bit; mean and variance are of all classes together.

    Arguments:
        norm: the plain layer.
        num_classes: number of classes.

    References:
        A Learned Representation For Artistic Style (Dumoulin, Shlens, Kudlur, 2016),
        https://arxiv.org/abs/1610.07629
    """

    def __init__(self, norm: _BatchNorm, num_classes: int) -> None:
        super().__init__()
        self.norm = norm
        self.gain, self.bias = (nn.Embedding(num_classes, norm.num_features) for _ in range(2))
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)
        self.y: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, ...) to the same shape, each sample by the affine map of its class."""
        assert self.y is not None, "BatchNormGenerator says the classes"
        gain, bias = (table(self.y).reshape(*x.shape[:2], *[1] * (x.ndim - 2)) for table in (self.gain, self.bias))
        return self.norm(x) * (1 + gain) + bias


class BatchNormGenerator(nn.Module):
    """Is told a class by every BatchNorm of its decoder, which this replaces by a `ConditionalBatchNorm`.

    Arguments:
        decoder: makes the network, `decoder(latent_dim=..., shape=...)`.
        num_classes: number of classes.
        latent_dim: dimensions of the latents.
        shape: shape of one datum, (C, H, W) or (D,).

    Raises:
        UserError: the decoder has no BatchNorm.

    Example:
        >>> from functools import partial
        >>> from genexp.networks.mlp import MLPDecoder
        >>> z, y = torch.randn(5, 8), torch.arange(5) % 3
        >>> decoder = partial(MLPDecoder, norm="batch")
        >>> BatchNormGenerator(decoder, num_classes=3, latent_dim=8, shape=(2,))(z, y).shape
        torch.Size([5, 2])
    """

    def __init__(
        self, decoder: Callable[..., nn.Module], num_classes: int, latent_dim: int, shape: Sequence[int]
    ) -> None:
        super().__init__()
        self.decoder = decoder(latent_dim=latent_dim, shape=shape)
        plain = [(name, layer) for name, layer in self.decoder.named_modules() if isinstance(layer, _BatchNorm)]
        if not plain:
            raise UserError(
                "model/generator_conditioning=batchnorm tells the class to the generator's BatchNorm, and it has none: "
                "set network.decoder.norm=batch, or model/generator_conditioning=concatenation."
            )
        for name, layer in plain:
            self.decoder.set_submodule(name, ConditionalBatchNorm(layer, num_classes))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) and classes (B,) to data (B, *shape)."""
        layers = [layer for layer in self.decoder.modules() if isinstance(layer, ConditionalBatchNorm)]
        for layer in layers:
            layer.y = y
        try:
            return self.decoder(z)
        finally:
            for layer in layers:
                layer.y = None

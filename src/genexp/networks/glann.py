"""The generator of GLO and GLANN: two wide linear layers, then two transposed convolutions to four times the size."""

from collections.abc import Sequence

from torch import Tensor, nn

from genexp.errors import UserError
from genexp.networks.activations import Activation, output_activation
from genexp.networks.arguments import at_least, square_image_shape
from genexp.networks.initialisation import Initialisation, xavier
from genexp.networks.normalisation import Norm, map_norm, vector_norm


class GLANNDecoder(nn.Module):
    """From latents to square images of a size that is a multiple of 4.

    Arguments:
        latent_dim: dimensions of a latent.
        shape: the shape of one image, (C, H, W) with H = W.
        hidden: features of the first linear layer.
        width: channels of the hidden map of half the image's size; the one of a quarter has twice as many.
        norm: `batch`, `none` or a callable, after the second linear and the first convolutional layer.
        output: `tanh` (data in [-1, 1]) or `identity`.
        init: fills the weights in place.

    Raises:
        UserError: the data is not square images of such a size, or an argument is unknown.

    References:
        Non-Adversarial Image Synthesis with Generative Latent Nearest Neighbors (Hoshen, Malik, 2018).
        https://arxiv.org/abs/1812.08985

    Example:
        >>> decoder = GLANNDecoder(latent_dim=64, shape=(1, 28, 28), norm="none")
        >>> sum(p.numel() for p in decoder.parameters())
        6620225
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        hidden: int = 1024,
        width: int = 64,
        norm: Norm = "batch",
        output: Activation = "tanh",
        init: Initialisation = xavier,
    ) -> None:
        super().__init__()
        at_least(1, latent_dim=latent_dim, hidden=hidden, width=width)
        channels, size = square_image_shape(shape, "glann")
        if size % 4:
            raise UserError(f"network=glann makes images of a multiple of 4 pixels, not {size}: use network=dcgan.")
        self.latent_dim, self.shape = latent_dim, (channels, size, size)
        features = 2 * width * (size // 4) ** 2
        norms = vector_norm(norm)(features), map_norm(norm)(width)
        layers = [
            nn.Linear(latent_dim, hidden, bias=False),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, features, bias=False),
            norms[0],
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (2 * width, size // 4, size // 4)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            norms[1],
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            output_activation(output, self.shape),
        ]
        self.layers = nn.Sequential(*[layer for layer in layers if layer is not None])
        init(self)

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) to images (B, C, H, W)."""
        return self.layers(z)

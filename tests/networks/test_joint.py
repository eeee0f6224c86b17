import pytest
import torch

from genexp.errors import UserError
from genexp.networks.dcgan import DCGANEncoder
from genexp.networks.joint import JointCritic, join, part
from genexp.networks.mlp import MLPEncoder


@pytest.mark.parametrize("shape", [(2,), (3, 4, 5)])
def test_rows_come_apart_as_they_were_joined(shape):
    x, z, other = torch.randn(6, *shape), torch.randn(6, 4), torch.randn(6, 2)
    back, rest = part(join(x, z, other), shape)
    assert torch.equal(back, x)
    assert torch.equal(rest, torch.cat([z, other], dim=1))


def test_the_score_depends_on_both_and_on_no_other_row():
    torch.manual_seed(0)
    critic = JointCritic(lambda **kw: DCGANEncoder(**kw, width=4, norm="none"), (1, 16, 16), latent_dim=3)
    x, z = torch.randn(5, 1, 16, 16), torch.randn(5, 3)
    rows = join(x, z).requires_grad_()
    scores = critic(rows)
    assert scores.shape == (5, 1)
    (gradient,) = torch.autograd.grad(scores[2], rows)
    assert gradient[2, :256].abs().max() > 0 and gradient[2, 256:].abs().max() > 0
    assert gradient[[0, 1, 3, 4]].abs().max() == 0


def test_the_head_s_depth_and_bias():
    with_bias = JointCritic(MLPEncoder, (2,), latent_dim=3, code_dim=8, width=16, depth=2)
    without = JointCritic(MLPEncoder, (2,), latent_dim=3, code_dim=8, width=16, depth=2, bias=False)
    counts = [sum(p.numel() for p in critic.parameters()) for critic in (with_bias, without)]
    assert counts[0] - counts[1] == 1
    linear = JointCritic(MLPEncoder, (2,), latent_dim=3, code_dim=8, width=16, depth=0)
    assert linear.head(torch.zeros(1, 24)).shape == (1, 1)
    with pytest.raises(UserError, match="code_dim=0"):
        JointCritic(MLPEncoder, (2,), latent_dim=3, code_dim=0)

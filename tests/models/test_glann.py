"""GLO, IMLE and GLANN: the sphere, the nearest neighbours, and a run of two stages that may be cut anywhere."""

import copy
from functools import partial

import pytest
import torch
from tests.small_gan import make

from genexp.errors import UserError
from genexp.models.glann import GLANN, GLO
from genexp.models.imle import IMLE
from genexp.networks.mlp import MLPDecoder
from genexp.objectives.adversarial import Hinge
from genexp.objectives.distances import Pixels
from genexp.training.plans import Minimize, Stages

SAMPLES, BATCH = 24, 8


def points():
    return torch.randn(SAMPLES, 4, generator=torch.Generator().manual_seed(1))


def batch(step):
    """Eight samples a step, each once in three steps."""
    index = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(step // 3)).view(3, BATCH)[step % 3]
    return {"x": points()[index], "index": index}


def ready(model, plan, lr=1e-2, samples=SAMPLES):
    regime = copy.copy(make(algorithm="torch.optim.Adam", lr=lr).regime)
    regime.plan, regime.clock = plan, copy.copy(regime.clock)
    regime.clock.images_per_step = BATCH
    model.prepare(regime)
    if model.reads_index:
        model.expect(samples)
    model.configure_optimizers()
    return model


def glo(**options):
    torch.manual_seed(0)
    return ready(GLO((4,), 3, partial(MLPDecoder, width=16), Pixels(), **options), Minimize())


def glann(boundary=4, norm="batch", **options):
    torch.manual_seed(0)
    mapping = partial(MLPDecoder, width=8, norm=norm)
    model = GLANN((4,), 3, partial(MLPDecoder, width=16), Pixels(), mapping, noise_dim=2, **options)
    return ready(model, Stages(["glo", "imle"], [boundary]))


def test_latents_stay_on_the_sphere_and_only_their_direction_counts():
    """T6.3."""
    model = glo()
    for step in range(6):
        model.step(batch(step))
        torch.testing.assert_close(model.table().norm(dim=1), torch.ones(SAMPLES), rtol=0, atol=1e-6)
    z = torch.randn(5, 3)
    torch.testing.assert_close(model.decode(z), model.decode(5 * z))


def test_latents_learn_as_many_times_as_fast_under_adam():
    """The first step of Adam moves every stored number by the learning rate, a latent's by `rate` times as much."""
    moved = []
    for rate in (1.0, 10.0):
        model = glo(latent_rate=rate)
        before = model.table().detach().clone()
        model.updated = lambda player: None
        model.step(batch(0))
        moved.append((model.table() - before)[batch(0)["index"]].abs())
    torch.testing.assert_close(moved[0], torch.full_like(moved[0], 1e-2), rtol=1e-2, atol=0)
    torch.testing.assert_close(moved[1], torch.full_like(moved[1], 1e-1), rtol=1e-2, atol=0)


def test_each_sample_is_reconstructed_from_its_own_latent():
    model = glo()
    data = batch(0)
    expected = (data["x"] - model.decode(model.table()[data["index"]])).abs().mean()
    torch.testing.assert_close(model.loss(data), expected)
    for step in range(300):
        model.step(batch(step))
    errors = (points()[:, None] - model.decode(model.table())[None]).abs().mean(2)  # (datum, latent)
    assert errors.diagonal().mean() < 0.5 * points().abs().mean()  # four dimensions on a sphere of two
    assert (errors.argmin(1) == torch.arange(SAMPLES)).float().mean() > 0.5


def test_samples_of_glo_come_from_the_gaussian_of_its_latents():
    model = glo()
    rows = model.table().detach()
    drawn = model.latents(100_000, seed=0).detach()
    torch.testing.assert_close(drawn.mean(0), rows.mean(0), rtol=0, atol=0.01)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(rows.T, correction=0), rtol=0, atol=0.01)
    assert torch.equal(model.sample(3, seed=1), model.decode(model.latents(3, seed=1)))


def imle(dim=1, latent_dim=8, width=64, lr=1e-3, **options):
    torch.manual_seed(0)
    model = IMLE((dim,), latent_dim, partial(MLPDecoder, width=width), Pixels("l2"), **options)
    return ready(model, Minimize(), lr)


def test_imle_is_likelihood_in_the_limit_of_no_noise():
    """T6.1 on the model's own samples: -2 s² log sum_j exp(-d_ij / 2 s²) tends to min_j d_ij from below."""
    model = imle(dim=2, candidates=5)
    data = {"x": torch.randn(7, 2)}
    model.random.begin(0)
    loss = model.loss(data).item()
    seen = []
    model.decoder.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    model.random.begin(0)
    assert model.loss(data).item() == loss
    made = seen[0]  # all candidates of the step
    assert len(made) == 35
    squares = torch.cdist(data["x"], made).square() / 2  # the mean over two dimensions
    limits = [(-2 * s**2 * torch.logsumexp(-squares / (2 * s**2), 1)).mean().item() for s in (1.0, 0.3, 0.03, 0.003)]
    assert limits == sorted(limits)
    assert limits[0] < limits[-1] - 0.1
    assert limits[-1] == pytest.approx(loss, abs=1e-3)


def test_imle_leaves_no_mode_out_and_fills_the_gaps():
    """T6.2: three points on a line; every one is covered, and most samples lie between them."""
    model = imle(candidates=85)
    targets = torch.tensor([[-2.0], [0.0], [2.0]])
    for _ in range(400):
        model.step({"x": targets})
    drawn = model.sample(4000, seed=0).detach()
    near = ((drawn - targets.T).abs() < 0.3).float().mean(0)
    assert near.min() > 0.02
    assert near.sum() < 0.9


def test_the_map_is_trained_to_the_nearest_latents_of_the_last_search():
    """T6.6 within the model, and the searches once an epoch from the boundary on."""
    model = glann(boundary=2, norm="none")
    searched = []
    for step in range(10):
        before = model.matched.clone()
        if step == 2:
            table = model.table().detach().clone()
            made = copy.deepcopy(model.map)
        model.step(batch(step))
        if not torch.equal(before, model.matched):
            searched.append(step)
        if step == 2:
            matched = model.matched.clone()
    assert searched == [2, 5, 8] and model.searches == 3
    torch.testing.assert_close(model.table(), table)  # the latents stand still in the second stage
    model.random.begin(2)
    noise = model.random.normal_alike(2 * SAMPLES, 2)
    squares = (table[:, None] - made(noise)[None]).square().sum(2)
    assert torch.equal(matched, noise[squares.argmin(1)])


def state(model):
    return {"step": model.regime.clock.step, **copy.deepcopy(model.training_state())}


@pytest.mark.parametrize("cut", [2, 3, 4, 5, 6, 7])
def test_a_run_may_be_cut_on_either_side_of_the_boundary(cut):
    """Four steps of GLO, searches in steps 4 and 7: the resumed run has the same bits, without a search of its own."""
    whole = glann()
    for step in range(cut):
        whole.step(batch(step))
    saved = state(whole)
    for step in range(cut, 9):
        whole.step(batch(step))
    resumed = glann()
    with torch.no_grad():
        for tensor in (*resumed.parameters(), *resumed.buffers()):
            tensor.zero_()
    resumed.load_training_state(saved)
    for step in range(cut, 9):
        resumed.step(batch(step))
    one, other = state(whole), state(resumed)
    assert one["model"].keys() == other["model"].keys()
    for key, value in one["model"].items():
        assert torch.equal(value, other["model"][key]), key


def test_weights_load_into_a_model_that_has_not_met_its_data():
    trained = glann()
    for step in range(5):
        trained.step(batch(step))
    torch.manual_seed(3)
    mapping = partial(MLPDecoder, width=8, norm="batch")
    fresh = GLANN((4,), 3, partial(MLPDecoder, width=16), Pixels(), mapping, noise_dim=2)
    fresh.load_weights({"model": trained.state_dict(), "ema": {}}, "ema")
    for model in (trained, fresh):
        model.eval()
    assert torch.equal(fresh.sample(5, seed=0), trained.sample(5, seed=0))


def test_before_its_stage_the_map_is_not_asked():
    model = glann()
    assert torch.equal(model.latents(5, seed=0), super(GLANN, model).latents(5, seed=0))
    for step in range(5):
        model.step(batch(step))
    model.eval()
    assert not torch.equal(model.latents(5, seed=0), super(GLANN, model).latents(5, seed=0))


def test_what_does_not_go_together_is_refused():
    with pytest.raises(UserError, match="GLO is trained on a distance, not on Hinge: use loss=pixels"):
        GLO((4,), 3, MLPDecoder, Hinge())
    with pytest.raises(UserError, match="model.candidates=0"):
        IMLE((4,), 3, MLPDecoder, Pixels(), candidates=0)
    with pytest.raises(UserError, match="a sphere of two points"):
        GLO((4,), 1, MLPDecoder, Pixels())
    model = GLANN((4,), 3, MLPDecoder, Pixels(), MLPDecoder)
    with pytest.raises(UserError, match=r"set plan=stages plan.players=\[glo,imle\]"):
        ready(model, Stages(["imle", "glo"], [4]))

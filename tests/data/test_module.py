"""What holds of every source: steps decide batches, ranks share them, workers and resuming change nothing."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from genexp.data.densities import Grid, TwoMoons
from genexp.data.digits import Digits
from genexp.data.module import to_unit_range
from genexp.data.points import Points
from genexp.errors import UserError

SOURCES = {
    "digits": Digits,
    "grid": lambda **options: Points("grid", Grid(), num_classes=25, split_size=200, **options),
    "moons": lambda **options: Points("moons", TwoMoons(), split_size=200, **options),
}
pytestmark = pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES.keys())


def batches(data, start=0, stop=6, seed=1, batch_size=12, batches_per_step=2, rank=None):
    data.configure(
        seed=seed, batch_size=batch_size, batches_per_step=batches_per_step, start_step=start, max_steps=stop
    )
    if rank is not None:
        data.trainer = SimpleNamespace(global_rank=rank[0], world_size=rank[1])
    return list(data.train_dataloader())


def same(some, others):
    pairs = list(zip(some, others, strict=True))
    return all(torch.equal(a["x"], b["x"]) and torch.equal(a["y"], b["y"]) for a, b in pairs)


def test_batches_have_the_promised_form(make):
    data = make()
    for batch in batches(data):
        assert set(batch) == {"x", "y"}
        assert batch["x"].shape == (24, *data.shape)
        assert batch["x"].dtype == torch.float32
        assert batch["y"].shape == (24,)
        assert batch["y"].dtype == torch.long
        assert 0 <= batch["y"].min() <= batch["y"].max() < max(1, data.num_classes)


def test_the_loader_knows_how_many_steps_are_left(make):
    data = make()
    data.configure(seed=0, batch_size=4, batches_per_step=1, start_step=7, max_steps=30)
    assert len(data.train_dataloader()) == 23


def test_batches_follow_from_seed_and_step(make):
    first = batches(make())
    assert same(first, batches(make()))
    assert not same(first, batches(make(), seed=2))
    assert not torch.equal(first[0]["x"], first[1]["x"])


def test_a_resumed_run_reads_the_tail(make):
    assert same(batches(make(), start=4, stop=9), batches(make(), stop=9)[4:])


def test_workers_change_nothing(make):
    assert same(batches(make(num_workers=2)), batches(make()))


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_together_read_what_one_process_reads(make, world_size):
    ranks = [batches(make(), rank=(rank, world_size)) for rank in range(world_size)]
    for step, whole in enumerate(batches(make())):
        for name, rows in whole.items():
            parts = [rank[step][name].unflatten(0, (2, -1)) for rank in ranks]
            assert torch.equal(torch.cat(parts, dim=1).flatten(0, 1), rows)


def test_ranks_need_a_batch_that_divides(make):
    with pytest.raises(UserError, match="batch_size=12"):
        batches(make(), rank=(0, 5))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_global_generators_are_left_alone(make, num_workers):
    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    before = state()
    data = make(num_workers=num_workers)
    batches(data)
    for name in ("train", "val", "ref", "floor"):
        data.split(name)
    data.content_id()
    assert state() == before


def test_the_global_generators_are_not_read_either(make):
    torch.manual_seed(0)
    first, split = batches(make()), make().split("ref")
    torch.manual_seed(1)
    assert same(first, batches(make()))
    assert torch.equal(split.x, make().split("ref").x)


def test_splits_are_read_once_and_do_not_depend_on_the_run(make):
    data, other = make(), make()
    batches(other, seed=99)
    for name in ("train", "val", "ref", "floor"):
        split = data.split(name)
        assert data.split(name) is split
        assert torch.equal(split.x, other.split(name).x)
        assert split.x.dtype == torch.float32
        assert split.y.dtype == torch.long
        assert split.x.shape == (len(split.y), *data.shape)


def test_an_unknown_split_is_refused(make):
    with pytest.raises(UserError, match="There is no split test"):
        make().split("test")


def test_content_id_is_a_sha256_and_repeats(make):
    assert make().content_id() == make().content_id()
    assert int(make().content_id(), 16) < 2**256
    assert len(make().content_id()) == 64


def test_shape_is_known_before_anything_is_read(make, monkeypatch):
    def fail(self, *_):
        raise AssertionError("read")

    monkeypatch.setattr(Digits, "read", fail)
    assert make().shape in ((1, 8, 8), (2,))


def test_configure_comes_first(make):
    with pytest.raises(RuntimeError, match="configure"):
        make().train_dataloader()


def test_an_epoch_visits_each_training_image_once(make):
    if make is not Digits:
        pytest.skip("a density has no epochs")
    data = make()
    seen = torch.cat([batch["x"] for batch in batches(data, stop=2 * 797, batch_size=1, batches_per_step=1)])
    train = data.split("train").x.flatten(1)
    for epoch in seen.flatten(1).split(797):
        assert torch.equal(_sorted(epoch), _sorted(train))
    assert not torch.equal(seen[:797], seen[797:])


def test_a_step_may_be_longer_than_an_epoch(make):
    long = torch.cat([batch["x"] for batch in batches(make(), stop=2, batch_size=1000)])
    if make is Digits:  # the same order, cut at other places
        short = torch.cat([batch["x"] for batch in batches(make(), stop=40, batch_size=50)])
        assert torch.equal(long, short)
    assert long.shape[0] == 4000


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_pixels_become_numbers_from_minus_one_to_one(make, levels):
    pixels = to_unit_range(torch.arange(levels).to(torch.uint8), levels).double()
    torch.testing.assert_close(pixels, torch.linspace(-1, 1, levels, dtype=torch.float64), rtol=0, atol=2e-7)
    assert (pixels[0], pixels[-1]) == (-1, 1)


def test_images_keep_their_labels(make):
    if make is not Digits:
        pytest.skip("a density has no images")
    digits = load_digits()
    known = {
        image.astype(np.uint8).tobytes(): int(label) for image, label in zip(digits.images, digits.target, strict=True)
    }
    assert len(known) == 1797
    for batch in batches(make()):
        images = ((batch["x"] + 1) * 8).round().to(torch.uint8).numpy()
        assert [known[image.tobytes()] for image in images] == batch["y"].tolist()


def _sorted(rows):
    return torch.from_numpy(np.unique(rows.numpy(), axis=0))


def test_places_in_the_train_split_come_only_when_asked_for(make):
    plain, asked = make(), make()
    if asked.train_size is None:
        with pytest.raises(UserError, match="never shows one twice"):
            asked.count_samples()
        return
    assert asked.count_samples() == 797 == len(asked.split("train").x)
    without, batch = batches(plain, 40, 42)[0], batches(asked, 40, 42)[0]
    assert set(without) == {"x", "y"} and set(batch) == {"x", "y", "index"}
    train = asked.split("train")
    assert torch.equal(batch["x"], train.x[batch["index"]]) and torch.equal(batch["x"], without["x"])
    assert torch.equal(batch["y"], train.y[batch["index"]])

import torch

from genexp.training.randomness import StepRandomness, mix


def test_two_ranks_draw_what_one_process_draws():
    one = StepRandomness(seed=3)
    two = [StepRandomness(seed=3, rank=rank, world_size=2) for rank in range(2)]
    for stream in (one, *two):
        stream.begin(17)
    normal, uniform = one.normal(10, 4), one.uniform(10)
    torch.testing.assert_close(torch.cat([stream.normal(5, 4) for stream in two]), normal, rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([stream.uniform(5) for stream in two]), uniform, rtol=0, atol=0)


def test_a_step_is_a_function_of_seed_and_step():
    stream = StepRandomness(seed=1)

    def numbers(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        stream.begin(step)
        return stream.normal(3), torch.rand(3)

    first = numbers(5)
    numbers(6)
    again = numbers(5)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = StepRandomness(seed=2)
    other.begin(5)
    assert not torch.equal(other.normal(3), first[0])


def test_ranks_differ_in_their_own_stream():
    draws = []
    for rank in range(2):
        StepRandomness(seed=0, rank=rank, world_size=2).begin(0)
        draws.append(torch.rand(4))
    assert not torch.equal(*draws)


def test_mix_spreads_neighbours():
    values = [mix(seed, step) for seed in range(30) for step in range(30)]
    assert len(set(values)) == 900
    ones = sum(bin(mix(0, step) ^ mix(0, step + 1)).count("1") for step in range(200)) / 200
    assert 28 < ones < 35  # half of 63 bits flip between neighbours

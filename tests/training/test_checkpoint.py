import pytest
import torch

from genexp.errors import UserError
from genexp.training import checkpoint

STATE = {"model": {"w": torch.arange(5.0)}, "note": "plain"}


def test_round_trip_and_weights_only(tmp_path):
    path = checkpoint.save(tmp_path, 7, STATE, keep=2)
    state = checkpoint.load(path)
    assert state["step"] == 7
    assert torch.equal(state["model"]["w"], STATE["model"]["w"])
    assert torch.load(path, weights_only=True)["note"] == "plain"
    assert checkpoint.step_of(path) == 7


def test_the_last_k_are_kept(tmp_path):
    for step in (5, 10, 15, 20):
        checkpoint.save(tmp_path, step, STATE, keep=2)
    assert [checkpoint.step_of(path) for path in checkpoint.saved(tmp_path)] == [20, 15]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_broken_one_is_refused_and_the_previous_one_used(tmp_path, damage):
    checkpoint.save(tmp_path, 5, STATE, keep=3)
    newest = checkpoint.save(tmp_path, 10, STATE, keep=3)
    content = bytearray(newest.read_bytes())
    if damage == "truncate":
        content = content[:-100]
    elif damage == "flip":
        content[len(content) // 2] ^= 1
    else:
        content = bytearray()
    newest.write_bytes(content)
    with pytest.raises(UserError, match="truncated or corrupt"):
        checkpoint.load(newest)
    state, refused = checkpoint.latest(tmp_path)
    assert state["step"] == 5
    assert len(refused) == 1 and newest.name in refused[0]


def test_a_half_written_file_is_no_checkpoint(tmp_path):
    checkpoint.save(tmp_path, 5, STATE, keep=2)
    (tmp_path / ".part-0123456789ab-step-00000010-0123456789abcdef.ckpt").write_bytes(b"half")
    state, refused = checkpoint.latest(tmp_path)
    assert state["step"] == 5 and not refused


def test_no_checkpoint(tmp_path):
    assert checkpoint.latest(tmp_path) == (None, [])


def test_a_foreign_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    path = checkpoint.save(tmp_path, 1, STATE, keep=1)
    monkeypatch.undo()
    with pytest.raises(UserError, match="format 99"):
        checkpoint.load(path)


def test_a_checkpoint_that_makes_room_for_the_next_while_it_is_read(tmp_path, monkeypatch):
    old = checkpoint.save(tmp_path, 1, STATE, keep=1)
    listings = [[old]]
    real = checkpoint.saved
    checkpoint.save(tmp_path, 2, STATE, keep=1)
    assert not old.exists()
    monkeypatch.setattr(checkpoint, "saved", lambda folder: listings.pop() if listings else real(folder))
    state, refused = checkpoint.latest(tmp_path)
    assert state["step"] == 2 and refused == []


def test_what_killed_processes_left_half_written_goes_with_the_next(tmp_path):
    (tmp_path / ".part-abc-step-00000001-0.ckpt").write_bytes(b"half")
    path = checkpoint.save(tmp_path, 2, STATE, keep=1)
    assert list(tmp_path.iterdir()) == [path]

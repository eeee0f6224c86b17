import os
import subprocess
import sys
import time

import pytest

from genexp.data.cache import ensure_folder, files_sha256, remembered
from genexp.errors import UserError

SLOW_WRITER = """
import sys, time
from pathlib import Path
from genexp.data.cache import ensure_folder

def write(folder):
    with open(sys.argv[2], "a") as log:
        log.write("w")
    (folder / "first").write_text("1")
    Path(sys.argv[2]).with_name("begun").touch()
    time.sleep(float(sys.argv[3]))
    (folder / "second").write_text("2")

ensure_folder(Path(sys.argv[1]), write)
assert sorted(p.name for p in Path(sys.argv[1]).iterdir()) == ["first", "second"]
"""


def start(folder, log, seconds):
    return subprocess.Popen([sys.executable, "-c", SLOW_WRITER, str(folder), str(log), str(seconds)])


def wait_for(path):
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_processes_write_once_and_both_see_it_whole(tmp_path):
    folder, log = tmp_path / "cache" / "made", tmp_path / "log"
    processes = [start(folder, log, 0.5) for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    assert log.read_text() == "w"


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path):
    folder, log = tmp_path / "cache" / "made", tmp_path / "log"
    process = start(folder, log, 60)
    wait_for(tmp_path / "begun")
    process.kill()
    process.wait(10)
    assert not folder.exists()
    assert list(folder.parent.glob("*.part")) or list(folder.parent.glob(".*.part"))
    ensure_folder(folder, lambda temporary: (temporary / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]
    assert not list(folder.parent.glob(".*.part"))


def test_a_failed_write_is_cleaned_up_and_tried_again(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise UserError("broken image")

    with pytest.raises(UserError, match="broken image"):
        ensure_folder(tmp_path / "made", fail)
    assert not (tmp_path / "made").exists()
    assert not list(tmp_path.glob(".*.part"))
    ensure_folder(tmp_path / "made", lambda folder: (folder / "whole").touch())
    assert (tmp_path / "made" / "whole").exists()


def test_an_existing_folder_is_not_written(tmp_path):
    ensure_folder(tmp_path, lambda folder: pytest.fail("written"))


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"set paths\.cache"):
        ensure_folder(tmp_path / "file" / "made", lambda folder: None)


def test_remembered_computes_once_and_survives_damage(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return "value"

    path = tmp_path / "deep" / "fact.json"
    assert [remembered(path, compute) for _ in range(3)] == ["value"] * 3
    assert len(calls) == 1
    path.write_text("{")
    assert remembered(path, compute) == "value"
    assert len(calls) == 2


@pytest.mark.parametrize("with_cache", [False, True])
def test_files_are_known_by_their_content(tmp_path, with_cache):
    cache = tmp_path / "cache" if with_cache else None
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abc")
    two.write_bytes(b"xyz")
    first = files_sha256([("train", one), ("test", two)], cache)
    assert files_sha256([("train", one), ("test", two)], cache) == first
    assert files_sha256([("train", two), ("test", one)], cache) != first
    moved = tmp_path / "moved"
    moved.write_bytes(b"abc")
    assert files_sha256([("train", moved), ("test", two)], cache) == first
    times = one.stat()
    one.write_bytes(b"abd")  # the same size, and the old time set back
    os.utime(one, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert files_sha256([("train", one), ("test", two)], cache) != first

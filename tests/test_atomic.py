import errno
import os
import subprocess
import sys
import time

import pytest

from genexp import atomic


def test_a_reader_sees_the_old_or_the_new_file_and_never_half(tmp_path):
    """One process replaces a large file again and again while this one reads it."""
    path = tmp_path / "file"
    atomic.write_text(path, "0" * 200_000)
    code = (
        "import sys, pathlib\nfrom genexp import atomic\n"
        "for n in range(1, 10):\n    atomic.write_text(pathlib.Path(sys.argv[1]), str(n) * 200_000)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
    seen = set()
    while writer.poll() is None:
        text = path.read_text()
        assert len(text) == 200_000 and len(set(text)) == 1
        seen.add(text[0])
    assert writer.returncode == 0
    assert path.read_text() == "9" * 200_000 and len(seen) > 1
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "picture.png"
    atomic.write_bytes(path, b"old")
    with pytest.raises(RuntimeError), atomic.replacing(path) as temporary:
        assert temporary.suffix == ".png"  # writers go by the ending
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_hosts_with_the_same_process_number_do_not_meet(tmp_path):
    with atomic.replacing(tmp_path / "a") as one, atomic.replacing(tmp_path / "a") as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")


def test_only_what_is_old_is_abandoned(tmp_path):
    fresh, old = (tmp_path / f"{atomic.PREFIX}{name}" for name in ("fresh", "old"))
    for path in (fresh, old, tmp_path / "kept"):
        path.write_text("")
    hours_ago = time.time() - 2 * atomic.ABANDONED_SECONDS
    os.utime(old, (hours_ago, hours_ago))
    os.utime(tmp_path / "kept", (hours_ago, hours_ago))
    atomic.remove_abandoned(tmp_path)
    atomic.remove_abandoned(tmp_path / "absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == [fresh.name, "kept"]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    atomic.sync_folder(tmp_path)
    assert len(synced) == 1

    def refused(file):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refused)
    atomic.sync_folder(tmp_path)


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    path.write_text("new")
    refusals = [errno.ESTALE, errno.ESTALE]
    real = type(path).read_text

    def read_text(self, **settings):
        if refusals:
            raise OSError(refusals.pop(), "Stale file handle")
        return real(self, **settings)

    monkeypatch.setattr(type(path), "read_text", read_text)
    assert atomic.read_text(path) == "new"
    for number in (errno.EIO, errno.ESTALE):
        refusals += [number] * 10
        with pytest.raises(OSError, match="Stale"):
            atomic.read_text(path)
        refusals.clear()

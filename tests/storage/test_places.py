from pathlib import Path

import pytest

from genexp.errors import UserError
from genexp.storage.places import COPIES, address_of, folder_of, is_address, shown, with_own_cache


@pytest.mark.parametrize("address", ["s3://bucket/runs", "memory://x", "file:///data/runs", "gs://b/a/b c/d=1,e"])
@pytest.mark.parametrize("kind", ["work", COPIES])
def test_a_folder_says_its_address(address, kind):
    folder = folder_of(address, kind)
    assert folder.is_absolute() and address_of(folder) == shown(folder) == address
    assert address_of(folder / "run" / "samples") == f"{address}/run/samples"
    assert folder_of(f"{address}/", kind) == folder


def test_a_folder_of_this_machine_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder_of("runs") == Path("runs") and folder_of(tmp_path) == tmp_path
    assert address_of("runs") is None and not is_address("runs") and not is_address(tmp_path)
    assert shown(tmp_path / "runs") == "runs" and shown("/elsewhere/runs") == "/elsewhere/runs"


@pytest.mark.parametrize("address", ["s3://", "s3://b/../c", "s3://b//c", "S3://b/c"])
def test_what_is_no_address_is_one_sentence(address):
    with pytest.raises(UserError, match="such as s3://bucket/runs"):
        folder_of(address)


def test_a_cache_that_this_machine_has_not_got_is_replaced_by_its_own(tmp_path):
    plain = {"paths": {"cache": "/not/here", "output": "s3://b/r"}, "dataset": {"cache_dir": "/not/here", "sizes": [1]}}
    ours = with_own_cache(plain)
    assert ours["paths"] == {"cache": str(tmp_path / "cache"), "output": "s3://b/r"}
    assert ours["dataset"] == {"cache_dir": str(tmp_path / "cache"), "sizes": [1]}
    there = {**plain, "paths": {"cache": str(tmp_path), "output": "s3://b/r"}}
    assert with_own_cache(there) == there

import sys
import threading
import time

import pytest
from tests.s3_server import BUCKET

from genexp.errors import UserError
from genexp.storage.store import Store, Unreachable


def test_objects_are_put_listed_read_and_deleted(address, tmp_path):
    store = Store(address)
    assert store.listing() == {} and store.read("a") is None
    store.write("run/a", b"one")
    before = store.listing()["run/a"]
    assert store.below("run").read("a") == b"one" and list(store.below("run").listing()) == ["a"]
    time.sleep(0.01)
    store.write("run/a", b"two!")
    after = store.listing()["run/a"]
    assert (before.size, after.size) == (3, 4) and before.version != after.version
    assert abs(store.now() - after.modified) < 60
    files = {name: tmp_path / name for name in ("x", "y")}
    for name, path in files.items():
        path.write_text(name * 1000)
    store.upload({f"deep/{name}": path for name, path in files.items()})
    store.download({"deep/x": tmp_path / "back"})
    assert (tmp_path / "back").read_text() == "x" * 1000
    store.remove(["deep/x", "never"])
    assert {"deep/y", "run/a"} <= set(store.listing()) and "deep/x" not in store.listing()


def test_of_several_that_create_an_object_one_does(address):
    store, won = Store(address), []

    def attempt(number: int) -> None:
        if store.create("lease", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and store.read("lease") == str(won[0]).encode()


def test_what_the_store_refuses_is_one_sentence(s3, monkeypatch):
    with pytest.raises(Unreachable, match="bucket does not exist: check the bucket's name"):
        Store("s3://nowhere/runs").listing()
    monkeypatch.setattr(s3, "refused", "PUT")
    with pytest.raises(Unreachable, match="Access Denied: check the credentials"):
        Store(f"s3://{BUCKET}/runs").create("a", b"")


def test_a_store_that_is_gone_is_one_sentence(s3):
    store = Store(f"s3://{BUCKET}/runs")
    store.write("a", b"1")
    s3.stop()
    try:
        with pytest.raises(Unreachable, match="check the network"):
            store.listing()
    finally:
        s3.start()
    assert store.read("a") == b"1"


def test_a_missing_package_is_one_sentence(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "s3fs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(UserError, match=r"pip install 'genexp\[s3\]'"):
        Store("s3://bucket/runs")
    with pytest.raises(UserError, match="nothing://bucket/runs cannot be used"):
        Store("nothing://bucket/runs")

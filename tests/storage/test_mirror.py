"""Two machines are two folders with one store."""

import json
from pathlib import Path

import pytest

from genexp.storage.mirror import Mirror, visible
from genexp.storage.store import Store, Unreachable


def checkpoint(step: int) -> str:
    return f"checkpoints/step-{step:08d}-{step:016x}.ckpt"


def work(folder: Path, step: int, status: str = "running", keep: int = 2) -> None:
    """What a run leaves at a checkpoint."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    with open(folder / "metrics.csv", "a") as file:
        file.write(f"{step}\n")
    (folder / checkpoint(step)).write_bytes(bytes([step % 256]) * 100)
    for old in sorted((folder / "checkpoints").iterdir())[:-keep]:
        old.unlink()
    (folder / "run.json").write_text(json.dumps({"status": status, "step": step}))


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in Mirror(folder, Store("memory://nowhere")).files()}


@pytest.fixture
def one(tmp_path) -> Path:
    return tmp_path / "one"


@pytest.fixture
def other(tmp_path) -> Path:
    return tmp_path / "other"


def test_what_is_sent_is_fetched_and_old_checkpoints_go(address, one, other):
    store = Store(address)
    for step in (10, 20, 30):
        work(one, step)
        assert Mirror(one, store).send()
    assert sorted(store.listing()) == [checkpoint(20), checkpoint(30), "metrics.csv", "run.json"]
    Mirror(other, store).reconcile()
    assert content(other) == content(one)
    work(other, 40)
    assert Mirror(other, store).send()
    Mirror(one, store).reconcile()
    assert content(one) == content(other)


def test_hidden_files_and_links_stay_here(store, one):
    work(one, 10)
    (one / ".lock").touch()
    (one / "wandb").mkdir()
    (one / "wandb" / "run.wandb").touch()
    (one / "wandb" / "latest").symlink_to("run.wandb")
    Mirror(one, store).send()
    assert sorted(store.listing()) == [checkpoint(10), "metrics.csv", "run.json", "wandb/run.wandb"]


def test_nothing_is_sent_or_fetched_twice(s3, one):
    store = Store("s3://laboratory/runs/one")
    work(one, 10)
    mirror = Mirror(one, store)
    mirror.send()
    mirror.learn()
    s3.requests.clear()
    Mirror(one, store).reconcile()
    Mirror(one, store).send()
    assert s3.counted() == {"GET listing": 2}


def test_the_requests_of_a_checkpoint(s3, one):
    store = Store("s3://laboratory/runs/one")
    mirror = Mirror(one, store)
    for step in (10, 20):
        work(one, step)
        mirror.send()
    s3.requests.clear()
    work(one, 30)
    mirror.send()
    assert s3.counted() == {"GET listing": 1, "PUT .csv": 1, "PUT .ckpt": 1, "PUT .json": 1, "DELETE .ckpt": 1}
    kinds = [path.rpartition("/")[2] for method, path in s3.requests if method == "PUT"]
    assert kinds == ["metrics.csv", checkpoint(30).rpartition("/")[2], "run.json"]
    assert s3.requests[-1][0] == "DELETE"


@pytest.mark.parametrize("puts", range(4))
def test_whenever_the_sender_dies_the_store_holds_a_run_to_go_on_with(puts, store, one, other, monkeypatch):
    """After each prefix of the puts, the newest checkpoint there has its rows, and the record names no later one."""
    work(one, 10)
    Mirror(one, store).send()
    work(one, 20, keep=1)
    left = iter(range(puts))

    def dying(original):
        def call(self, *given):
            if next(left, None) is None:
                raise Unreachable("gone")
            return original(self, *given)

        return call

    with monkeypatch.context() as patch:
        for name in ("upload", "write", "remove"):
            patch.setattr(Store, name, dying(getattr(Store, name)))
        try:
            Mirror(one, store).send()
        except Unreachable:
            assert puts < 4
    Mirror(other, store).reconcile()
    newest = max(int(path.name[5:13]) for path in (other / "checkpoints").iterdir())
    rows = [int(line) for line in (other / "metrics.csv").read_text().split()]
    assert newest in rows
    assert json.loads((other / "run.json").read_text())["step"] <= newest
    Mirror(one, store).send()  # the next attempt sends the rest
    assert set(visible(store.listing())) == {checkpoint(20), "metrics.csv", "run.json"}


@pytest.mark.parametrize(("here", "there"), [(30, 20), (20, 30)])
def test_where_both_went_on_the_one_that_came_further_counts(here, there, store, one, other):
    work(one, 10)
    Mirror(one, store).send()
    Mirror(other, store).reconcile()
    work(one, here)
    work(other, there)
    Mirror(other, store).send()
    Mirror(one, store).reconcile()
    newest = max(here, there)
    assert json.loads((one / "run.json").read_text())["step"] == newest
    assert (one / checkpoint(newest)).is_file()
    Mirror(one, store).send()
    assert json.loads(store.read("run.json"))["step"] == newest
    assert (one / "metrics.csv").read_text().split()[-1] == str(newest)


def test_an_end_that_was_not_sent_is_kept(store, one, other):
    work(one, 10)
    Mirror(one, store).send()
    Mirror(other, store).reconcile()
    (other / "log.txt").write_text("looked at")
    Mirror(other, store).send()
    work(one, 10, status="complete")
    Mirror(one, store).reconcile()
    assert json.loads((one / "run.json").read_text())["status"] == "complete"
    Mirror(one, store).send()
    assert json.loads(store.read("run.json"))["status"] == "complete"


def test_a_log_holds_what_every_machine_printed(store, one, other):
    work(one, 10)
    (one / "log.txt").write_text("one began\n")
    Mirror(one, store).send()
    other.mkdir()
    with open(other / "log.txt", "a", buffering=1) as log:  # as a launcher does before the run is fetched
        log.write("other goes on\n")
        Mirror(other, store).reconcile()
        log.write("and ends\n")
    Mirror(other, store).send()
    assert store.read("log.txt") == b"one began\nother goes on\nand ends\n"
    with open(one / "log.txt", "a") as log:
        log.write("one looks again\n")
    Mirror(one, store).reconcile()
    assert (one / "log.txt").read_text() == "one began\nother goes on\nand ends\none looks again\n"


def test_a_file_that_vanishes_keeps_no_other_one_back(store, one, monkeypatch):
    work(one, 10)
    (one / "passing").write_text("soon gone")
    upload = Store.upload

    def late(self, files):
        (one / "passing").unlink(missing_ok=True)
        upload(self, files)

    monkeypatch.setattr(Store, "upload", late)
    Mirror(one, store).send()
    assert set(visible(store.listing())) == {checkpoint(10), "metrics.csv", "run.json"}


def test_what_was_deleted_here_alone_is_not_deleted_there(store, one):
    work(one, 10)
    work(one, 20)
    Mirror(one, store).send()
    for path in [path for path in one.rglob("*") if path.is_file() and path.name != ".mirror.json"]:
        path.unlink()
    Mirror(one, store).send()
    assert sorted(store.listing()) == [checkpoint(10), checkpoint(20), "metrics.csv", "run.json"]
    Mirror(one, store).reconcile()
    assert json.loads((one / "run.json").read_text())["step"] == 20 and (one / checkpoint(20)).is_file()


def test_who_may_not_sends_nothing(store, one):
    work(one, 10)
    assert not Mirror(one, store).send(lambda listing: False)
    assert store.listing() == {}

import json
import signal
import threading
import time
from pathlib import Path

import pytest

from genexp.errors import Busy, Undelivered
from genexp.runs import Run
from genexp.storage import courier, places
from genexp.storage.lease import FOLDER, FREE
from genexp.storage.store import Store, Unreachable


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(courier, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.05)
    monkeypatch.setattr(courier, "LAST_PAUSE", 0.01)
    monkeypatch.setattr(courier, "PAUSES", (0.05,))


@pytest.fixture
def run(store) -> Run:
    folder = places.folder_of(store.address)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"status": "running", "step": 0}))
    return Run(folder)


def save(run: Run, step: int) -> str:
    name = f"checkpoints/step-{step:08d}-{step:016x}.ckpt"
    (run.checkpoints).mkdir(exist_ok=True)
    (run.folder / name).write_bytes(b"weights")
    run.update(step=step)
    return name


def wait_until(holds, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_appears_is_sent_while_the_run_works_and_the_rest_at_the_end(run, store):
    with run.claimed():
        name = save(run, 10)
        wait_until(lambda: name in store.listing())
        with pytest.raises(Busy), run.claimed():
            pass
        run.update(status="complete")
    assert json.loads(store.read("run.json")) == {"status": "complete", "step": 10}
    assert store.read(f"{FOLDER}/00000001") == FREE
    assert [thread.name for thread in threading.enumerate() if thread.name in ("courier", "lease")] == []


def test_a_store_that_fails_never_stops_the_run(run, store, monkeypatch):
    def refuse(self, *given):
        raise Unreachable("The store is gone:")

    with run.claimed():
        first = save(run, 10)
        wait_until(lambda: first in store.listing())
        with monkeypatch.context() as patch:
            patch.setattr(Store, "upload", refuse)
            second = save(run, 20)
            time.sleep(0.5)
        wait_until(lambda: second in store.listing())
    monkeypatch.setattr(Store, "upload", refuse)
    with pytest.raises(Undelivered, match=f"resume={store.address}") as raised, run.claimed():
        third = save(run, 30)
    assert str(run.folder) in str(raised.value) and raised.value.exit_code == 6
    monkeypatch.undo()
    assert third not in store.listing()


def test_an_outage_is_one_sentence(run, store, monkeypatch, capsys):
    working = Store.upload
    down = threading.Event()

    def sometimes(self, files):
        if down.is_set():
            raise Unreachable("The store is gone:")
        working(self, files)

    monkeypatch.setattr(Store, "upload", sometimes)
    with run.claimed():
        wait_until(lambda: save(run, 10) in store.listing())
        down.set()
        name = save(run, 20)
        time.sleep(0.5)
        down.clear()
        wait_until(lambda: name in store.listing())
    said = capsys.readouterr().err
    assert said.count("sending is tried again") == 1 and said.count("answers again") == 1
    assert str(run.folder) in said


def test_what_ended_the_run_is_what_is_raised(run, store, monkeypatch, capsys):
    def refuse(self, *given):
        raise Unreachable("The store is gone:")

    with pytest.raises(ZeroDivisionError), run.claimed():
        monkeypatch.setattr(Store, "upload", refuse)
        save(run, 10)
        raise ZeroDivisionError
    assert "What it has not got of this run" in capsys.readouterr().err


def test_a_run_that_was_taken_over_is_asked_to_stop_and_sends_nothing(run, store, monkeypatch):
    monkeypatch.setenv("GENEXP_LEASE_SECONDS", "1")
    asked = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        with pytest.raises(Busy, match="has taken over"), run.claimed():
            wait_until(lambda: "run.json" in store.listing())
            store.write(f"{FOLDER}/00000002", b"another")
            name = save(run, 10)
            wait_until(asked.is_set)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert name not in store.listing()
    assert store.read(f"{FOLDER}/00000002") == b"another"


def test_a_claim_that_fails_gives_the_lease_back(run, store, monkeypatch):
    monkeypatch.setattr(courier.Mirror, "reconcile", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError), run.claimed():
        pass
    assert store.read(f"{FOLDER}/00000001") == FREE


def test_a_folder_of_this_machine_needs_no_store(tmp_path):
    run = Run(tmp_path / "run")
    with run.claimed():
        assert run.is_locked and run.is_claimed
    assert not run.is_claimed
    assert not list(Path(tmp_path / "run").glob(".lease*"))

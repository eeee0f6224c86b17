import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from genexp.errors import Busy
from genexp.leases import Owner
from genexp.storage.lease import FOLDER, FREE, Lease
from genexp.storage.store import Store


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setenv("GENEXP_LEASE_SECONDS", "1")


def put(store: Store, number: int, owner: Owner) -> None:
    store.write(f"{FOLDER}/{number:08d}", owner.to_json().encode())


def elsewhere() -> Owner:
    """A process on another machine."""
    return replace(Owner.here(), host="other", boot="another boot")


def test_one_at_a_time_and_numbers_go_on(address):
    store = Store(address)
    for number in (1, 2):
        lease = Lease(store)
        lease.take()
        with pytest.raises(Busy, match=f"process {os.getpid()} on"):
            Lease(store).take()
        lease.release()
        assert store.read(f"{FOLDER}/{number:08d}") == FREE
    assert list(store.listing()) == [f"{FOLDER}/00000002"]


def test_a_lease_whose_answer_was_lost_is_taken_all_the_same(store, monkeypatch):
    """The library asks again after a timeout, and the second answer says that the object is there."""
    create = Store.create
    monkeypatch.setattr(Store, "create", lambda self, name, content: create(self, name, content) and False)
    lease = Lease(store)
    lease.take()
    assert lease.check(store.below(FOLDER).listing())
    lease.release()


def test_the_lease_of_a_dead_process_of_this_machine_is_free_at_once(tmp_path):
    address = f"file://{tmp_path}/store"
    code = f"from genexp.storage.lease import *; Lease(Store({address!r})).take(); import os; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    lease = Lease(Store(address))
    lease.take()
    assert list(Store(address).listing()) == [f"{FOLDER}/00000002"]
    lease.release()


def test_a_silent_machine_loses_its_lease_after_a_while_and_a_living_one_does_not(store):
    put(store, 7, elsewhere())
    with pytest.raises(Busy, match="its hold ends after 1 s"):
        Lease(store).take()
    time.sleep(1.3)
    lease = Lease(store)
    lease.take()
    first = store.listing()[f"{FOLDER}/00000008"].version
    time.sleep(1.5)
    assert store.listing()[f"{FOLDER}/00000008"].version != first  # a sign of life
    lease.release()


def test_an_owner_that_slept_while_another_took_over_learns_of_it(store):
    lease = Lease(store)
    lease.take()
    put(store, 2, elsewhere())
    assert lease.lost.wait(5)
    assert not lease.check(store.listing())
    lease.release()
    assert b'"host": "other"' in store.read(f"{FOLDER}/00000002")  # what another holds is not given back


def test_a_store_that_passes_over_the_condition_is_told_of(store, monkeypatch, capsys):
    monkeypatch.setattr(Store, "create", lambda self, name, content: self.write(name, content) or True)
    lease = Lease(store)
    lease.take()
    lease.release()
    assert "does not know conditional puts" in capsys.readouterr().err

import json
from pathlib import PurePosixPath

import pytest

from genexp.errors import UserError
from genexp.runs import Run
from genexp.storage import copies, places
from genexp.storage.copies import copied, deliver, fetched, fetched_all, is_model, is_record, is_shown, is_table, put
from genexp.storage.mirror import Mirror
from genexp.storage.store import Store, Unreachable


def run_in(store: Store, name: str, status: str = "complete", step: int = 10) -> None:
    for path, content in {
        "run.json": json.dumps({"status": status, "step": step}),
        "config.yaml": "seed: 0\n",
        "metrics.csv": "step\n10\n",
        "samples/step-00000010.png": "png",
        f"checkpoints/step-{step:08d}-{step:016x}.ckpt": "weights",
        ".lease/00000001": "free\n",
    }.items():
        store.write(f"{name}/{path}", content.encode())


def names(folder) -> list[str]:
    return sorted(Mirror(folder, Store("memory://nowhere")).files())


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (is_record, {"run.json", "config.yaml"}),
        (is_table, {"run.json", "config.yaml", "metrics.csv"}),
        (is_shown, {"run.json", "config.yaml", "metrics.csv", "step-00000010.png"}),
        (is_model, {"run.json", "config.yaml", "step-00000010-000000000000000a.ckpt"}),
    ],
)
def test_a_copy_has_what_is_wanted(wanted, kinds, store):
    run_in(store, "sweeps/x/a")
    folder = copied(store.address, wanted)
    assert {PurePosixPath(name).name for name in names(folder)} == kinds
    assert places.shown(folder) == store.address


def test_a_copy_follows_the_store(store):
    run_in(store, "a", status="running")
    run_in(store, "b")
    folder = copied(store.address, is_table)
    run_in(store, "a", status="complete")
    store.remove([f"b/{name}" for name in store.below("b").listing()])
    assert copied(store.address, is_table) == folder
    assert json.loads((folder / "a" / "run.json").read_text())["status"] == "complete"
    assert not (folder / "b" / "run.json").exists()


def test_a_place_with_nothing_is_one_sentence(store, tmp_path):
    with pytest.raises(UserError, match="There is nothing at memory://"):
        copied(store.address, is_table)
    assert copied(tmp_path, is_table) == tmp_path
    with pytest.raises(UserError, match=f"There is no run at {store.address}"):
        Run.open(store.address)
    put([tmp_path / "any"])


def test_what_is_deleted_while_it_is_copied_is_left_out(store, monkeypatch):
    """A run that trains deletes an older checkpoint between the listing and the copy."""
    run_in(store, "a")
    older = f"a/checkpoints/step-00000005-{5:016x}.ckpt"
    store.write(older, b"weights")
    download = Store.download

    def late(self, files):
        self.remove([older])
        download(self, files)

    monkeypatch.setattr(Store, "download", late)
    folder = copied(store.address, is_model)
    assert [path.name for path in (folder / "a" / "checkpoints").iterdir()] == [f"step-00000010-{10:016x}.ckpt"]


def test_a_copy_that_fails_leaves_no_parts(store, monkeypatch):
    run_in(store, "a")

    def half(self, files):
        for path in files.values():
            path.write_bytes(b"half")
        raise Unreachable("gone")

    monkeypatch.setattr(Store, "download", half)
    with pytest.raises(Unreachable):
        copied(store.address, is_model)
    assert not [path for path in places.folder_of(store.address, places.COPIES).rglob("*") if path.is_file()]


def test_files_of_a_copy_are_put_beside_the_run(store):
    run_in(store, "a")
    folder = copied(f"{store.address}/a", is_model)
    (folder / "samples").mkdir()
    (folder / "samples" / "sample.png").write_bytes(b"drawn")
    put([folder / "samples" / "sample.png"])
    assert store.read("a/samples/sample.png") == b"drawn"


def test_records_of_a_sweep_are_fetched_and_what_this_machine_changed_stays(store):
    for name in ("a", "b", "c"):
        run_in(store, name)
    folder = fetched_all(store.address)
    assert names(folder) == sorted(f"{name}/{file}" for name in "abc" for file in ("config.yaml", "run.json"))
    Run(folder / "a").update(status="failed")
    Run(folder / "b").update(status="queued")
    for name in ("a", "b", "c"):
        run_in(store, name, status="stopped", step=20)
    fetched_all(store.address)
    assert [Run(folder / name).record["status"] for name in "abc"] == ["failed", "stopped", "stopped"]


def test_a_record_is_not_fetched_into_a_run_that_is_worked_on(store):
    run_in(store, "a")
    folder = fetched(f"{store.address}/a")
    with Run(folder).locked():
        run_in(store, "a", status="stopped", step=20)
        fetched(f"{store.address}/a")
        assert Run(folder).record["step"] == 10
    fetched(f"{store.address}/a")
    assert Run(folder).record["step"] == 20


def test_a_store_that_is_silent_lets_nobody_begin(store, monkeypatch, capsys):
    run_in(store, "a")
    run = Run(fetched(f"{store.address}/a"))
    assert not run.is_claimed

    def silent(self):
        raise Unreachable("The store is gone.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "listing", silent)
        assert run.is_claimed and run.is_claimed
    assert run.is_claimed  # it is looked at again after some seconds only
    assert capsys.readouterr().err.count("waits until the store answers") == 1
    monkeypatch.setattr(copies, "_not_before", {})
    assert not run.is_claimed


def test_the_end_that_a_killed_job_could_not_send_is_delivered(store, tmp_path):
    run_in(store, "a", status="running")
    run = Run(fetched(f"{store.address}/a"))
    run.update(status="failed", failure="Killed by signal 9.")
    here = Run(tmp_path / "here")
    deliver([run, here])
    assert json.loads(store.read("a/run.json"))["status"] == "failed"
    before = store.listing()
    deliver([run])
    assert store.listing() == before

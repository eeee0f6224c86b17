"""What a run whose output is a bucket asks of the store: requests, counted by an S3 server on this machine.

    python benchmarks/storage.py            print the table
    python benchmarks/storage.py --write    and put it into docs/storage.md

A real run of a few steps makes the files; then what is sent and fetched at each occasion is counted, by the code that
does it in training.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from readme import ROOT, fill

sys.path.insert(0, str(ROOT))

from tests.s3_server import BUCKET, S3Server

from genexp.storage.copies import copied, is_shown
from genexp.storage.lease import Lease
from genexp.storage.mirror import Mirror
from genexp.storage.store import Store

RUN = ["experiment=ring8_gan", "max_steps=30", "score_every=10", "checkpoint_every=10", "keep_checkpoints=4"]
RUN += ["evaluation.n=200", "evaluation.fast_n=100", "logger=none", "progress=false", "trainer.accelerator=cpu"]
ADDRESS = f"s3://{BUCKET}/runs/one"


def trained(folder: Path) -> None:
    """A run with several checkpoints, pictures and a score."""
    command = [sys.executable, "-m", "genexp", "train", *RUN, f"run_dir={folder}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def counted(server: S3Server, act: Callable[[], object]) -> dict[str, int]:
    """The requests of an act: what lists, puts, deletes, and gets or looks."""
    server.requests.clear()
    act()
    kinds = {"list": 0, "put": 0, "delete": 0, "get": 0}
    for method, path in server.requests:
        kind = {"PUT": "put", "POST": "put", "DELETE": "delete"}.get(method, "list" if path.count("/") < 2 else "get")
        kinds[kind] += 1
    return kinds


def occasions(server: S3Server, run: Path, work: Path) -> dict[str, dict[str, int]]:
    """The requests of each occasion, in the order of a run's life."""
    store, found = Store(ADDRESS), {}
    later = sorted((run / "checkpoints").iterdir())[1:]
    pictures = sorted((run / "samples").glob("step-*.png"))[1:]
    kept = [*later, *pictures, run / "scores.jsonl", run / "anchors.json", *(run / "samples").glob("final-*")]
    shutil.copytree(run, work, ignore=lambda folder, names: [n for n in names if Path(folder) / n in kept])
    lease, mirror = Lease(store), Mirror(work, store)
    found["begin: the lease and a look"] = counted(server, lambda: (lease.take(), mirror.reconcile()))
    found["the first checkpoint and picture, with the config"] = counted(server, mirror.send)
    for number, occasion in enumerate(("a checkpoint", "a checkpoint with a picture and a fast score")):
        for checkpoint in (work / "checkpoints").iterdir():
            checkpoint.unlink()  # the older one goes when the newer one is there
        shutil.copy(later[number], work / "checkpoints")
        if number:
            shutil.copy(pictures[0], work / "samples")
        for name in ("metrics.csv", "timings.csv", "run.json"):
            (work / name).write_text((work / name).read_text() + "\n")
        found[occasion] = counted(server, mirror.send)
    for path in kept[len(later) + len(pictures) :]:
        shutil.copy(path, work / path.relative_to(run))
    (work / "run.json").write_text((run / "run.json").read_text())
    found["the end: score, pictures, record, lease"] = counted(
        server, lambda: (mirror.send(), mirror.learn(), lease.release())
    )
    again, elsewhere = Lease(Store(ADDRESS)), Mirror(work.with_name("elsewhere"), Store(ADDRESS))
    found["going on on another machine: lease and fetch"] = counted(
        server, lambda: (again.take(), elsewhere.reconcile())
    )
    again.release()
    found["a report with pictures, for this run"] = counted(server, lambda: copied(ADDRESS, is_shown))
    found["the same report again"] = counted(server, lambda: copied(ADDRESS, is_shown))
    return found


def minute(server: S3Server) -> dict[str, int]:
    """The signs of life of a minute, from those of a few seconds with a lease that is as much shorter."""
    os.environ["GENEXP_LEASE_SECONDS"] = "2"
    lease = Lease(Store(f"{ADDRESS}/minute"))
    lease.take()
    requests = counted(server, lambda: time.sleep(2.25))  # four beats of half a second
    lease.release()
    del os.environ["GENEXP_LEASE_SECONDS"]
    return requests


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    server = S3Server()
    server.start()
    os.environ.update(server.environment)
    server.empty()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GENEXP_CACHE"] = f"{folder}/cache"
        trained(Path(folder) / "run")
        found = occasions(server, Path(folder) / "run", Path(folder) / "work")
        found["each minute: signs of life"] = minute(server)
    server.stop()
    lines = ["| occasion | list | put | delete | get |", "|---|---|---|---|---|"]
    lines += [f"| {occasion} | {' | '.join(str(n) for n in kinds.values())} |" for occasion, kinds in found.items()]
    print("\n".join(lines))
    if arguments.write:
        remark = "requests that reached an S3 server on this machine, for a run of ring8_gan without a logger."
        fill("storage", lines, "python benchmarks/storage.py --write", remark)


if __name__ == "__main__":
    main()

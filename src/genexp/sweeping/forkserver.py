"""Processes forked from a server that has imported the whole stack: a job starts in milliseconds, not in seconds.

The server trains nothing: it has no random state, no threads of torch's and no CUDA context that a job could inherit.
"""

import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing import connection, context

from genexp.exit_codes import STOP_CODE_VARIABLE
from genexp.runs import RANK_VARIABLES, THREADS_VARIABLE, Run

PRELOADED = "genexp.sweeping.preloaded"
NOT_INHERITED = (*RANK_VARIABLES, STOP_CODE_VARIABLE)
"""Variables of the sweep's own process that its jobs begin without."""


class Forked:
    """A job in a process forked from the server, which the first one starts.

    Arguments:
        run: the job's run.
        threads: its share of the cores.
    """

    def __init__(self, run: Run, threads: int | None = None) -> None:
        self._process = server().Process(target=work, args=(str(run.folder), threads), name=run.folder.name)
        # What is sent to a whole group of processes must neither end the server nor reach a job twice.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def poll(self) -> int | None:
        """See `genexp.sweeping.launchers.Handle`."""
        return self._process.exitcode

    def stop(self) -> None:
        """See `genexp.sweeping.launchers.Handle`."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()


def server() -> context.ForkServerContext:
    """The kind of processes that are forked from the server."""
    kind = multiprocessing.get_context("forkserver")
    kind.set_forkserver_preload([PRELOADED])
    return kind


def work(folder: str, threads: int | None) -> None:
    """What a forked process does: `genexp train resume=FOLDER`, its output in the run's `log.txt`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    _stop_with_the_sweep()
    log = os.open(os.path.join(folder, "log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    os.close(log)
    for name in NOT_INHERITED:
        os.environ.pop(name, None)
    if threads is not None:
        os.environ[THREADS_VARIABLE] = str(threads)
    sys.argv = ["genexp", "train", f"resume={folder}"]
    from genexp.cli import main

    sys.exit(main(sys.argv[1:]))


def _stop_with_the_sweep() -> None:
    """Save and end when the process that runs the sweep is gone, so that nobody trains unseen."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True, name="parent").start()

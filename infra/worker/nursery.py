"""The nursery: `python -m redrive.infra.worker.nursery --pool jobs --limit 4 --folder RUN`. It has Prefect loaded and forks workers.

Two at a time: one works, the other stands by (`standby.py`) and takes over in the moment in which the first one ends, however it
ends. A killed worker then costs a fork, not the seconds that an interpreter and Prefect take to start.

Danger: only a process with a single thread may be forked, so nothing here starts a client, an event loop or a thread.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

from redrive.blocks.core.heap import freeze_loaded, loading
from redrive.infra.worker import standby
from redrive.infra.worker.child import template
from redrive.infra.worker.child.code import Code
from redrive.infra.worker.linux import check_platform, end_with, set_name, threads_of
from redrive.infra.worker.standby import NurseryFolder

#: One that works and one that stands by.
WORKERS = 2
#: Seconds a worker must have lived to be replaced at once; after others we pause, a second more each time, up to the longest.
EARLY, LONGEST = 2.0, 10.0
#: What the nursery waits for.
SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


class Nursery:
    """Keeps `WORKERS` workers forked until it is told to stop, and then until they have drained."""

    def __init__(self, place: NurseryFolder, code: Code) -> None:
        self._place = place
        self._code = code
        self._born: dict[int, float] = {}
        self._early = 0
        self._stopping = False

    def run(self) -> None:
        """Until all workers have ended after SIGTERM or SIGINT; either is passed on, each time."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        while not (self._stopping and not self._born):
            while not self._stopping and len(self._born) < WORKERS:
                self._fork()
            number = signal.sigwaitinfo(SIGNALS).si_signo
            if number == signal.SIGCHLD:
                self._reap()
                continue
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        for pid in self._born:
            os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        while self._born:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            born = self._born.pop(pid, None)
            if born is None or self._stopping:
                continue
            print(f"worker process {pid} ended ({_how(status)})", flush=True)  # noqa: T201  (the component's log)
            self._early = self._early + 1 if time.monotonic() - born < EARLY else 0
            if self._early and signal.sigtimedwait((signal.SIGTERM, signal.SIGINT), min(self._early, LONGEST)):
                self._stop()

    def _fork(self) -> None:
        mine = os.getpid()
        pid = os.fork()
        if pid:
            self._born[pid] = time.monotonic()
            return
        try:
            end_with(mine)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            standby.serve(self._place, self._code)
        except SystemExit as left:
            os._exit(left.code if isinstance(left.code, int) else int(left.code is not None))
        except BaseException:  # noqa: BLE001  (whatever it is, this process must not go on as a second nursery)
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(70)


def main(arguments: list[str]) -> NoReturn:
    """Load, then fork workers."""
    check_platform()
    parser = argparse.ArgumentParser()
    parser.add_argument("--pool", required=True)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    place = NurseryFolder(**vars(parser.parse_args(arguments)))
    since = time.time_ns()
    with loading():
        template.preload(template.needed())
    code = Code.loaded(since)
    if threads_of(os.getpid()) > 1:
        raise SystemExit("something that the worker loads starts threads, so no worker can be forked")
    set_name("warm-nursery")
    freeze_loaded()
    Nursery(place, code).run()
    raise SystemExit(0)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit code {os.WEXITSTATUS(status)}"


if __name__ == "__main__":
    main(sys.argv[1:])

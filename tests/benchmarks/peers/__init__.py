"""Marks from outside for the worker benchmark: other queues on the same machine, broker and database, each in an environment of its own.

No dependency of ours. What each keeps when something dies is part of what it is compared by: `durability`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from redrive.blocks.core.settings import Settings
from tests.support.job_stack import ROOT

FOLDER = Path(__file__).parent
#: Objects of pgqueuer, beside Prefect's in one database.
SCHEMA = "pgqueuer"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A queue: what to install, which script asks it for jobs, how its worker starts, where its jobs are kept."""

    packages: tuple[str, ...]
    script: str
    durability: str
    #: Command of the worker, below the environment's `bin`, for so many slots at that address.
    worker: Callable[[str, int], tuple[str, ...]]
    address: Callable[[Settings], str]
    #: Run once, if anything.
    prepare: Callable[[str], tuple[str, ...]] | None = None


def _valkey(settings: Settings) -> str:
    return settings.valkey_url()


def _postgres(settings: Settings) -> str:
    return settings.prefect_database_url().replace("+asyncpg", "", 1)


PEERS = {
    "rq": Peer(
        packages=("rq>=2.3", "pandas"),
        script="rq_job.py",
        durability="a job that its worker had is found again by a maintenance run; as durable as Redis, here its defaults",
        worker=lambda url, slots: ("rq", "worker-pool", "-n", str(slots), "-u", url, "-q"),
        address=_valkey,
    ),
    "celery": Peer(
        packages=("celery>=5.5", "redis", "packaging"),
        script="celery_job.py",
        durability="acknowledged before it runs (its default): a worker that dies loses its jobs; no results kept; Redis as above",
        worker=lambda _, slots: ("celery", "-A", "celery_job", "worker", "-c", str(slots), "-l", "error", "--without-gossip"),
        address=_valkey,
    ),
    "pgqueuer": Peer(
        packages=("pgqueuer>=1.6", "asyncpg"),
        script="pgqueuer_job.py",
        durability="tables `durable` (its default), synchronous_commit as the stack's; jobs in one process, on its event loop",
        worker=lambda _, slots: (
            "pgq", "--schema", SCHEMA, "run", "pgqueuer_job:main", "--max-concurrent-tasks", str(slots), "--log-level", "ERROR",
        ),
        address=_postgres,
        prepare=lambda url: ("pgq", "--schema", SCHEMA, "--pg-dsn", url, "install"),
    ),
}  # fmt: skip


class Installed:
    """Environments of peers, made when first asked for."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder, self._settings = folder, settings

    def bin(self, kind: str) -> Path:
        """Where a peer's commands are."""
        peer, made = PEERS[kind], self._folder / kind
        if not made.exists():
            subprocess.run([sys.executable, "-m", "venv", str(made)], check=True)
            pip = [str(made / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), *peer.packages], check=True)
            if peer.prepare:
                command, *arguments = peer.prepare(peer.address(self._settings))
                subprocess.run([str(made / "bin" / command), *arguments], check=True, capture_output=True)
        return made / "bin"

    def enqueue(self, kind: str, count: int, told: Path, *, job: str) -> list[float]:
        """Ask for jobs that note in `told` when they begin; the times when each was accepted."""
        peer = PEERS[kind]
        argv = [str(self.bin(kind) / "python"), str(FOLDER / peer.script), str(count), str(told), job]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, env=self.environment(kind))
        return [float(line) for line in done.stdout.split()]

    def worker(self, kind: str, slots: int) -> list[str]:
        """The command of a worker with so many slots."""
        command, *arguments = PEERS[kind].worker(PEERS[kind].address(self._settings), slots)
        return [str(self.bin(kind) / command), *arguments]

    def environment(self, kind: str) -> dict[str, str]:
        """What both sides need."""
        return {"PEER_URL": PEERS[kind].address(self._settings), "PGQUEUER_SCHEMA": SCHEMA, "PYTHONPATH": str(FOLDER)}

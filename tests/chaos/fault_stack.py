"""A stack that may be hurt: who its processes are, and real signals to them.

Danger: what is started here by hand (a second keeper, another host's worker) is not known to the stack's supervisor; the
fixture ends it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import psutil

from redrive.infra.keeper.processes import JobProcesses, state_of_worker
from redrive.infra.local.components.all import component
from redrive.infra.local.supervisor import Supervisor
from tests.support.job_stack import ROOT, JobStack
from tests.support.stack import LocalStack
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import wait_until

#: Short, so that a test need not wait for long; long against a heartbeat a second on a machine that is busy.
LEASE = 6.0
#: How long the issue's outages are.
OUTAGE = 10.0

PATIENCE = 120


class FaultStack(JobStack):
    """A stack with the jobs of tests/support/fault_jobs.py."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, retry_after=LEASE, slots=4)
        self.env |= {
            "REDRIVE_JOBS": "tests.support.fault_jobs",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            # Prefect's 30 s would be silence under this lease.
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "1",
        }
        #: Between the API and the worker of another host, while a test cuts its network.
        self.proxy: TcpProxy | None = None
        self._strangers: list[subprocess.Popen[bytes]] = []

    # Who is there

    def pid(self, name: str) -> int:
        """Process id of a component; 0 while it does not run, also if the supervisor has not noticed yet."""
        if name == "worker":
            # The one that works: the supervisor watches the nursery that it was forked from.
            return component(name, self.settings).working_pid or 0
        with _supervisor(self) as supervisor:
            pid = supervisor.all()[name].pid
        return pid if pid and psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else 0

    def job_processes(self) -> dict[UUID, list[psutil.Process]]:
        """The processes of jobs, parents before children, by run."""
        found: dict[UUID, list[psutil.Process]] = {}
        for run_id, pids in JobProcesses.snapshot(self.settings).pids.items():
            for pid in pids:
                with suppress(psutil.Error):
                    process = psutil.Process(pid)
                    found.setdefault(run_id, []).append(process)
        return {run_id: sorted(each, key=lambda one: one.create_time()) for run_id, each in found.items()}

    def postgres_processes(self) -> list[psutil.Process]:
        """The postmaster and its children."""
        postmaster = psutil.Process(self.pid("postgres"))
        return [postmaster, *postmaster.children(recursive=True)]

    def worker_lives(self, name: str) -> bool:
        """Whether a worker of this name runs now, here or as a stranger. No two starts share a name."""
        return state_of_worker(self.settings, name) == "alive" or any(
            one.poll() is None and name in one.args for one in self._strangers
        )

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a component once it has become its real program."""

        def told() -> dict[str, str] | None:
            with suppress(psutil.Error):
                environment = psutil.Process(self.pid(name)).environ()
                return environment if "PREFECT_API_URL" in environment else None
            return None

        found = wait_until(told, PATIENCE, f"{name} to run")
        assert found is not None
        return found

    def keeper_log(self) -> str:
        return (self.home / "logs" / "keeper.log").read_text()

    # What happens to them

    def kill_component(self, name: str) -> int:
        """`kill -9`; its process id. The supervisor starts it again."""
        pid = wait_until(lambda: self.pid(name), PATIENCE, f"{name} to run")
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_worker(self, *, with_children: bool) -> None:
        """`kill -9` of the worker, the worker first so that it cannot report its children's end."""
        self.kill_component("worker")
        if with_children:
            for processes in self.job_processes().values():
                kill(*processes)

    def kill_worker_tree(self) -> int:
        """`kill -9` of the worker and all it started; its process id."""
        pid = wait_until(lambda: self.pid("worker"), PATIENCE, "the worker to work")
        worker = psutil.Process(pid)
        with suppress(psutil.NoSuchProcess):
            below = worker.children(recursive=True)
            kill(worker, *below)
        return pid

    def standby(self) -> int:
        """Process id of the worker that stands by, 0 while none is ready."""
        with suppress(FileNotFoundError, ValueError):
            pid = int((self.home / "run" / "worker.standby").read_text())
            return pid if psutil.pid_exists(pid) and pid != self.pid("worker") else 0
        return 0

    @contextmanager
    def frozen(self, *processes: psutil.Process) -> Iterator[None]:
        """Stop these processes (SIGSTOP) and let them go on afterwards."""
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """A component stays stopped meanwhile; another program may stand in for it, and is ended afterwards."""
        self.stop_component(name)
        try:
            yield
        finally:
            self.end_strangers()
            self.start_component(name)

    def stop_component(self, name: str) -> None:
        with _supervisor(self) as supervisor:
            supervisor.stop(name)

    def start_component(self, name: str) -> None:
        with _supervisor(self) as supervisor:
            supervisor.start(name)

    def start_keeper(self, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """A second keeper beside the stack's own, with that one's environment if not given another."""
        argv = [sys.executable, "-P", "-m", "redrive.infra.keeper.service"]
        return self.start_program(argv, environment or self.environment("keeper"), "second-keeper")

    def start_worker_elsewhere(
        self, name: str, *, slots: int, port: int | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """A worker as another host would have it: its own PREFECT_HOME and temporary folder, unknown to the supervisor.

        `port`: where it reaches the API, if not directly. `environment`: instead of that of the stack's own worker.
        """
        environment = dict(environment or self.environment("worker"))
        for marked in ("REDRIVE_STACK", "REDRIVE_COMPONENT", "REDRIVE_HOME"):
            environment.pop(marked)
        home = self.folder(name)
        environment |= {
            "REDRIVE_HOME": str(home / "redrive"),
            "PREFECT_HOME": str(home / "prefect"),
            "TMPDIR": str(home),
        }
        if port:
            environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        argv = [sys.executable, "-P", "-m", "prefect", "worker", "start", "--pool", "jobs"]
        return self.start_program([*argv, "--limit", str(slots), "--name", name], environment, name)

    def lose(self, host: subprocess.Popen[bytes]) -> None:
        """A host goes down for good: its worker and everything the worker started, at once."""
        worker = psutil.Process(host.pid)
        with self.frozen(worker):
            children = worker.children(recursive=True)
            kill(worker, *children)
        host.wait()

    def end_strangers(self) -> None:
        for one in self._strangers:
            if one.poll() is None:
                self.lose(one)
        self._strangers.clear()

    def wait_whole(self) -> None:
        wait_until(lambda: self.status()["healthy"], PATIENCE, "the stack to be whole")

    def start_program(self, argv: list[str], environment: dict[str, str], log: str) -> subprocess.Popen[bytes]:
        """A program beside the stack, ended with the test."""
        with (self.home / "logs" / f"{log}.log").open("ab") as output:
            started = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=output, stderr=output)
        self._strangers.append(started)
        return started


def pass_by(seconds: float) -> None:
    """Let an outage last so long; nothing else tells its end."""
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began >= seconds, seconds + PATIENCE, "the outage to end")


def kill(*processes: psutil.Process) -> None:
    """`kill -9`, whoever of them still lives."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def _supervisor(stack: LocalStack) -> Iterator[Supervisor]:
    found = Supervisor.find(stack.settings)
    assert found is not None, "the supervisor is gone"
    with found:
        yield found

"""Each component in turn frozen (SIGSTOP) and killed: every command answers in time, with the truth and the right exit code.

All components: `make soak`. An ordinary run takes the two that others depend on.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from redrive.infra.local.components.all import TABLE
from tests.support.stack import LocalStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

#: Seconds of the promise. A machine that is busy with other tests gets what it takes for the same command in health on top of ten.
WITHIN = 12.0
WAIT = 10.0

COMMANDS = {
    "status": ("status",),
    "check": ("check",),
    # Not due while this test runs.
    "enqueue": ("enqueue", "documents", "--in", "1d"),
    "jobs": ("jobs", "list"),
    "queues": ("queues", "list"),
    "dead": ("dead", "list"),
    "top": ("top", "--once"),
}
OK, UNHEALTHY, UNAVAILABLE = {0}, {3}, {6}
#: What a command ends with while a component is frozen; 0 where it is not named. Connections that Prefect's server has go on while
#: PostgreSQL takes no new ones, so some commands may succeed then. `check` learns of silent workers and duties later, by their lease.
FROZEN: dict[str, dict[str, set[int]]] = {
    "postgres": {
        "status": UNHEALTHY,
        "check": UNHEALTHY,
        "dead": UNAVAILABLE,
        **dict.fromkeys(("enqueue", "jobs", "queues", "top"), OK | UNAVAILABLE),
    },
    "valkey": {"status": UNHEALTHY},
    "mail": {"status": UNHEALTHY, "check": UNHEALTHY},
    "prefect": {
        "status": UNHEALTHY,
        "check": UNHEALTHY,
        **dict.fromkeys(("enqueue", "jobs", "queues", "top"), UNAVAILABLE),
    },
    "ops-worker": {"status": UNHEALTHY, "check": OK | UNHEALTHY},
    "keeper": {"status": UNHEALTHY, "check": OK | UNHEALTHY},
    "exporter": {"status": UNHEALTHY, "check": UNHEALTHY},
    "console": {"status": UNHEALTHY, "check": UNHEALTHY},
    "worker": {"status": UNHEALTHY, "check": OK | UNHEALTHY},
    "supervisor": {"status": UNHEALTHY},
}
PARTS = [*TABLE, "supervisor"]
#: What is asked about one job and by people's pages, of the two parts that such commands depend on. Whatever is not named may succeed
#: or not while PostgreSQL is frozen, as above.
FURTHER: dict[str, tuple[str, ...]] = {
    "jobs show": ("jobs", "show", "JOB"),
    "jobs logs": ("jobs", "logs", "JOB"),
    "jobs why": ("jobs", "why", "JOB"),
    "jobs find": ("jobs", "find", "state:scheduled"),
    "jobs retry": ("jobs", "retry", "nothing-like-it"),
    "jobs cancel": ("jobs", "cancel", "--job", "documents", "--state", "running"),
    "schedules": ("schedules", "list"),
    "policy": ("policy", "show", "documents"),
    "queues": ("queues", "resume", "low"),
    "groups": ("dead", "groups"),
    "dead show": ("dead", "show", "00000000-0000-4000-8000-000000000000"),
    "dead redrive": ("dead", "redrive", "--job", "documents"),
    "acts": ("dead", "acts"),
    "record": ("console", "record"),
    "views": ("jobs", "views", "list"),
}
IN_THE_LEDGER = {"groups", "dead show", "dead redrive", "acts", "record", "views"}
NOTHING = {0, 4, 5}


@pytest.fixture(scope="module")
def broken() -> Iterator[LocalStack]:
    """One stack for all of this file; each test leaves it healthy."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-frozen-"))
    stack = LocalStack(folder / ".redrive")
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def limits(broken: LocalStack) -> dict[str, float]:
    """Seconds each command may take."""
    found = {}
    for name, arguments in COMMANDS.items():
        began = time.monotonic()
        done = broken.command(*arguments, check=False)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        found[name] = max(WITHIN, WAIT + 2 * (time.monotonic() - began))
    return found


def sized(parts: list[str]) -> list[object]:
    # What is asked is how long commands take, which a machine that is busy with other tests does not tell.
    return [pytest.param(part, marks=[pytest.mark.soak]) for part in parts]


@pytest.mark.parametrize("part", sized(PARTS))
def test_every_command_reports_the_truth_in_time_while_a_component_is_frozen(
    broken: LocalStack, limits: dict[str, float], part: str
) -> None:
    expected = FROZEN[part]
    with frozen(broken, part):
        for name in COMMANDS:
            answered(broken, name, limits[name], expected.get(name, OK))

    wait_until(lambda: broken.status()["healthy"], 120, "the stack to be healthy again")


@pytest.mark.soak
@pytest.mark.parametrize("part", ["prefect", "postgres"])
def test_commands_about_one_job_and_of_the_ledger_report_the_truth_in_time_too(broken: LocalStack, part: str) -> None:
    job = broken.command("enqueue", "documents", "--in", "1d").stdout.split()[-1]
    further = {name: tuple(job if word == "JOB" else word for word in words) for name, words in FURTHER.items()}
    healthy = {}
    for name, words in further.items():
        began = time.monotonic()
        done = broken.command(*words, check=False)
        assert done.returncode in NOTHING, (name, done.stdout, done.stderr)
        healthy[name] = (max(WITHIN, WAIT + 2 * (time.monotonic() - began)), done.returncode)

    with frozen(broken, part):
        for name, (seconds, code) in healthy.items():
            stands = (name in IN_THE_LEDGER) == (part == "postgres")
            codes = UNAVAILABLE if stands else {code} | (UNAVAILABLE if part == "postgres" else set())
            answered(broken, name, seconds, codes, further[name])

    wait_until(lambda: broken.status()["healthy"], 120, "the stack to be healthy again")
    broken.command("jobs", "cancel", job)


@pytest.mark.parametrize("part", sized([part for part in PARTS if part != "supervisor"]))
def test_every_command_reports_the_truth_in_time_when_a_component_is_killed(
    broken: LocalStack, limits: dict[str, float], part: str
) -> None:
    for name in COMMANDS:
        broken.kill(part)
        # It is started again at once: which answer is true depends on who was faster.
        answered(broken, name, limits[name], OK | UNHEALTHY | UNAVAILABLE)
        wait_until(lambda: broken.status()["healthy"], 120, "the stack to be healthy again")


def answered(
    stack: LocalStack, name: str, seconds: float, codes: set[int], arguments: tuple[str, ...] | None = None
) -> None:
    """See that a command ends in time with one of these exit codes, and says why in one sentence."""
    began = time.monotonic()
    process = stack.begin(*(arguments or COMMANDS[name]))
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"redrive {name} did not answer within {seconds:.1f} s: {out}\n{err}")
    print(
        f"{name}: exit {process.returncode} after {time.monotonic() - began:.1f} s (at most {seconds:.1f}). {err.strip()}"
    )
    assert process.returncode in codes, f"redrive {name}: exit {process.returncode}\n{out}\n{err}"
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 1, err
    if process.returncode == 6:
        assert "does not answer" in err or "away" in err or "unavailable" in err, err


@contextmanager
def frozen(stack: LocalStack, part: str) -> Iterator[None]:
    pid = stack.status()["supervisor_pid"] if part == "supervisor" else stack.component(part)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)

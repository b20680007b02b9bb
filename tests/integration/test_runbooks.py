"""Every command of the runbooks is run on a real stack, with what an operator finds there in the place of ID, CAUSE, QUEUE and JOB."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from redrive.blocks.core.exit_codes import ExitCode
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.details import show_job
from tests.support.commands import Commands
from tests.support.job_stack import JobStack, pointed_at
from tests.support.runbooks import (
    OTHER_QUEUE,
    PATIENCE,
    QUEUE,
    Night,
    Operator,
    begun,
    is_paused,
    logs,
    sections,
    set_pause,
)
from tests.support.waiting import wait_until

#: What is no command of ours, and where it is seen to work.
OF_OTHERS = {
    "redrive --help": "the command line's own tests",
    "dmesg": "the system's",
    "prefect server services start": "role `services` of the images, tests/e2e/test_compose.py",
}


@pytest.fixture(scope="module")
def night(running_job_stack: JobStack) -> Iterator[Night]:
    with pointed_at(running_job_stack), begun(running_job_stack) as found:
        yield found


def _lists(*found: str, **values: object) -> Callable[[Operator], None]:
    """It prints these, of the night."""

    def tried(operator: Operator) -> None:
        came = operator.type(**values)
        for name in found:
            value = getattr(operator.night, name, None) or operator.night.dead[name].fingerprint
            assert str(value)[:8] in came, came

    return tried


def _shows(name: str, text: str) -> Callable[[Operator], None]:
    """It says this of one of the night's jobs."""

    def tried(operator: Operator) -> None:
        assert text in operator.type(ID=getattr(operator.night, name))

    return tried


def _profiles(*, memory: bool) -> Callable[[Operator], None]:
    def tried(operator: Operator) -> None:
        # A job that only waits shows nothing.
        busy = operator.night.folder / "busy"
        busy.touch()
        made = json.loads(operator.type("--seconds", "1", "--json", ID=operator.night.running))
        busy.unlink()
        assert ("<html" if memory else "<svg") in Path(made["file"]).read_text()

    return tried


def _ends_up(fate: str, status: str, *more: str) -> Callable[[Operator], None]:
    """It changes that dead letter, and no other one."""

    def tried(operator: Operator) -> None:
        row = operator.night.dead[fate]
        others = {one: operator.status(one) for one in operator.night.dead if one != fate}
        operator.type(*more, ID=row.id, CAUSE=row.fingerprint)
        assert operator.status(fate) == status
        assert {one: operator.status(one) for one in others} == others

    return tried


def _redrives_a_cause(operator: Operator) -> None:
    row = operator.night.dead["redriven"]
    operator.type("--dry-run", CAUSE=row.fingerprint)
    assert operator.status("redriven") == "open"
    _ends_up("redriven", "redriven")(operator)


def _names_parts(*parts: str) -> Callable[[Operator], None]:
    """It says of each how it is. Whether all is well is the stack's: it has no backup, and a command may not judge that."""

    def tried(operator: Operator) -> None:
        came = operator.type(codes=(ExitCode.OK, ExitCode.UNHEALTHY))
        for part in parts:
            assert part in came

    return tried


def _sees_all(operator: Operator) -> None:
    came = operator.type()
    for part in (QUEUE, "keeper", "test-long", str(operator.night.running)[:8]):
        assert part in came, came


def _cancels(operator: Operator) -> None:
    job = enqueue("test-ok", {"folder": str(operator.night.stack.folder("cancelled"))}, queue=QUEUE).id
    operator.type(ID=job)
    assert show_job(job)[0].state == "Cancelled"


def _pauses(*, paused: bool) -> Callable[[Operator], None]:
    def tried(operator: Operator) -> None:
        set_pause(OTHER_QUEUE, paused=not paused)
        operator.type(QUEUE=OTHER_QUEUE)
        assert is_paused(OTHER_QUEUE) is paused
        set_pause(OTHER_QUEUE, paused=False)

    return tried


def _asks_for_a_job(operator: Operator) -> None:
    made = json.loads(operator.type("--json", JOB="test-crowd"))
    assert show_job(made["id"])[0].job == "test-crowd"


def _starts_what_does_not_run(operator: Operator) -> None:
    # In a process of its own, as it changes the environment of the one that it is called in.
    stack = operator.night.stack
    assert stack.settings.ui_url in stack.redrive("up").stdout


def _ends_the_keeper_which_is_started_again(operator: Operator) -> None:
    stack = operator.night.stack
    before = stack.component("keeper")["pid"]
    (word,) = [word for word in shlex.split(operator.line) if word.isupper()]
    program, *words = [str(before) if one == word else one for one in shlex.split(operator.line)]
    subprocess.run([program, *words], check=True)
    wait_until(
        lambda: (now := stack.component("keeper"))["pid"] not in {before, None} and psutil.pid_exists(now["pid"]),
        PATIENCE, "the stack to start the keeper again",
    )  # fmt: skip


def _lists_the_pause(operator: Operator) -> None:
    (row,) = [line for line in operator.type().splitlines() if line.split()[:1] == [QUEUE]]
    assert row.rstrip().endswith("paused")


def _tells_the_error(operator: Operator) -> None:
    row = operator.night.dead["shown"]
    came = operator.type(ID=row.id)
    for told in (row.message, str(row.step), "traceback", "parameters"):
        assert told in came


DEAD_JOB, LONG_JOB = {"JOB": "test-fail-once"}, {"JOB": "test-long"}
#: What each command of the runbooks is for, seen to come of it.
TRIED: dict[str, Callable[[Operator], None]] = {
    "redrive queues list": _lists_the_pause,
    "redrive jobs list --state waiting --queue QUEUE": _lists("waiting", QUEUE=QUEUE),
    "redrive jobs list --state running": _lists("running"),
    "redrive jobs list --state running --queue QUEUE": _lists("running", QUEUE=QUEUE),
    "redrive jobs list --state retrying --queue QUEUE": _lists("retrying", QUEUE=QUEUE),
    "redrive jobs list --job JOB --state running": _lists("running", **LONG_JOB),
    "redrive jobs show ID": _shows("running", "/runs/flow-run/"),
    "redrive jobs why ID": _shows("waiting", f"redrive queues resume {QUEUE}"),
    "redrive jobs profile ID": _profiles(memory=False),
    "redrive jobs profile ID --memory": _profiles(memory=True),
    "redrive jobs cancel ID": _cancels,
    "redrive queues pause QUEUE": _pauses(paused=True),
    "redrive queues resume QUEUE": _pauses(paused=False),
    "redrive enqueue JOB": _asks_for_a_job,
    "redrive status": _names_parts("worker", "keeper", "exporter", "prefect"),
    "redrive check": _names_parts("worker", "keeper", "exporter", "ledger"),
    "redrive top --once": _sees_all,
    "redrive up": _starts_what_does_not_run,
    "redrive dead groups --queue QUEUE": _lists("shown", QUEUE=QUEUE),
    "redrive dead groups --job JOB": _lists("shown", **DEAD_JOB),
    "redrive dead list": _lists("shown"),
    "redrive dead list --queue QUEUE": _lists("shown", QUEUE=QUEUE),
    "redrive dead show ID": _tells_the_error,
    "redrive dead redrive --fingerprint CAUSE --rate 20/s": _redrives_a_cause,
    "redrive dead redrive ID": _ends_up("replaced", "redriven", "--params-json", '{"message": "no copper tomorrow"}'),
    'redrive dead discard --fingerprint CAUSE --why "..."': _ends_up("discarded", "discarded"),
    'redrive dead discard ID --why "..."': _ends_up("given up", "discarded"),
    "kill -9 PID": _ends_the_keeper_which_is_started_again,
}


def test_every_command_of_the_runbooks_is_tried_here() -> None:
    written = {line for lines in sections().values() for line in lines}

    assert written - set(OF_OTHERS) == set(TRIED)
    assert all(any(line.startswith("redrive ") for line in lines) for lines in sections().values())


@pytest.mark.parametrize("line", TRIED)
def test_command_of_a_runbook_does_what_it_is_there_for(line: str, night: Night, redrive: Commands) -> None:
    TRIED[line](Operator(night, redrive, line))


def test_logs_that_the_runbooks_name_are_written(night: Night) -> None:
    assert len(logs()) >= 4
    for name in logs():
        # Some parts write nothing while all is well.
        assert (night.stack.home / name).is_file(), name

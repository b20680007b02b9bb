"""A job's log on the command line: once, in order, followed to its end."""

from __future__ import annotations

import json
import signal

from redrive.blocks.core.exit_codes import ExitCode
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.deployments.jobs.details import cancel_job, show_job
from tests.support.commands import Commands
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

PATIENCE = 120.0


def test_what_a_job_logged_and_printed_is_shown_once_and_in_order(redrive: Commands) -> None:
    job = enqueue("test-chatty", {"lines": 450})
    wait_for(job.id, timeout=PATIENCE)
    # What a step prints is in the log, and its last batch comes with the end of the process.
    wait_until(lambda: "line 449" in redrive("jobs", "logs", str(job.id)), PATIENCE, "the last line")

    lines = [line.split()[-1] for line in redrive("jobs", "logs", str(job.id)).splitlines() if " line " in line]

    assert lines == [str(number) for number in range(450)]
    assert " line " not in redrive("jobs", "logs", str(job.id), "--level", "warning")
    told = [json.loads(line) for line in redrive("jobs", "logs", str(job.id), "--json").splitlines()]
    assert {line["level"] for line in told} >= {"INFO"}
    assert sum(line["message"].startswith("line ") for line in told) == 450


def test_a_log_is_followed_from_before_the_start_to_the_end(redrive: Commands) -> None:
    job = enqueue("test-chatty", {"lines": 3, "seconds": 2}, delay=2)

    printed = redrive("jobs", "logs", str(job.id), "--follow")

    assert redrive.code == ExitCode.OK
    assert printed.count("line 2") == 1
    assert show_job(job.id)[0].state == "Completed"


def test_ctrl_c_leaves_a_followed_log_and_the_job_goes_on(job_stack: JobStack) -> None:
    job = enqueue("test-chatty", {"lines": 1, "seconds": 300})
    following = job_stack.begin("jobs", "logs", str(job.id), "--follow")
    assert following.stdout is not None
    assert following.stdout.readline(), "a line came"

    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=PATIENCE)

    assert following.returncode == ExitCode.INTERRUPTED
    assert said == ""
    assert show_job(job.id)[0].status in {"starting", "running"}
    cancel_job(job.id)

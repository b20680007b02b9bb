"""`redrive schedules`: what starts jobs by the clock, seen, paused, resumed and run now."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.job_stack import JobStack
from tests.support.prefect_client import api


def listed(stack: JobStack) -> dict[str, dict[str, Any]]:
    return {one["job"]: one for one in json.loads(stack.redrive("schedules", "list", "--json").stdout)}


def test_list_says_when_each_schedule_starts_a_job_next(job_stack: JobStack) -> None:
    found = listed(job_stack)

    assert (found["reports"]["line"], found["reports"]["timezone"]) == ("0 7 * * *", "Europe/London")
    due = datetime.fromisoformat(found["prune"]["next"][0])
    assert (due.hour, due.minute) == (3, 30)
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(days=1)
    table = job_stack.redrive("schedules", "list").stdout
    assert "dead-letter-review" in table


@pytest.mark.slow
def test_paused_schedule_starts_nothing_until_it_is_resumed(job_stack: JobStack) -> None:
    said = job_stack.redrive("schedules", "pause", "reports").stdout
    try:
        assert said == "schedule 0 7 * * * of reports is paused\n"
        assert (listed(job_stack)["reports"]["active"], listed(job_stack)["reports"]["next"]) == (False, [])
        (schedule,) = api().read_deployment_by_name("reports/reports").schedules
        assert schedule.active is False
        again = job_stack.redrive("schedules", "pause", "reports", check=False)
        assert (again.returncode, "is paused already" in again.stderr) == (5, True)
    finally:
        resumed = job_stack.redrive("schedules", "resume", listed(job_stack)["reports"]["id"][:8]).stdout
    assert resumed == "schedule 0 7 * * * of reports runs again\n"
    assert listed(job_stack)["reports"]["active"] is True


def test_schedule_that_was_paused_and_resumed_keeps_its_parameters(job_stack: JobStack) -> None:
    job_stack.redrive("schedules", "pause", "dead-letter-review")

    job_stack.redrive("schedules", "resume", "dead-letter-review")

    (schedule,) = api().read_deployment_by_name("dead-letter-review/dead-letter-review").schedules
    assert schedule.parameters == {"ask": False}


def test_run_asks_for_the_job_with_the_parameters_of_its_schedule(job_stack: JobStack) -> None:
    accepted = json.loads(job_stack.redrive("schedules", "run", "dead-letter-review", "--json").stdout)

    assert api().read_flow_run(accepted["id"]).parameters == {"ask": False}


def test_job_type_without_a_schedule_is_named_with_those_that_have_one(job_stack: JobStack) -> None:
    refused = job_stack.redrive("schedules", "run", "report", check=False)

    assert refused.returncode == 4
    assert "did you mean 'reports'?" in refused.stderr

"""`redrive enqueue JOB`: ask for one job from the command line.

Danger: `--param k=v` is text until the job type's schema says otherwise; `--params-json` is for anything nested.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from redrive.blocks.errors import ParameterError
from redrive.deployments.commands.output import err, out, print_json, span
from redrive.deployments.exit_codes import ExitCode
from redrive.deployments.job_type import Queue

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

#: Outputs and characters of a result that are shown; `--json` and the files themselves have the rest.
SHOWN_OUTPUTS = 5
RESULT_WIDTH = 300

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def enqueue_command(
    job: str,
    *,
    param: Annotated[list[str] | None, Parameter(name=["--param", "-p"], negative="")] = None,
    params_json: str | None = None,
    queue: Queue | None = None,
    key: str | None = None,
    in_: Annotated[str | None, Parameter(name="--in")] = None,
    at: datetime | None = None,
    wait: Annotated[bool, Parameter(negative="")] = False,
    timeout: float | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Ask for one job.

    Args:
        job: Name of the job type.
        param: A parameter as name=value; may be given several times.
        params_json: All parameters as one JSON object; - reads it from standard input.
        queue: Queue instead of the job type's own.
        key: Idempotency key: the same key makes one job, however often this runs.
        in_: How long from now it is due: 30s, 10m, 2h, 1d.
        at: When it is due, as 2026-12-24T18:00; local time if it names no zone.
        wait: Wait until the job ended; the exit code says how (7: not completed).
        timeout: With --wait: give up after this many seconds; the job goes on.
        as_json: Print JSON.
    """
    from redrive.blocks.prefect_api import reachable
    from redrive.deployments.enqueue import deployment_of, enqueue, wait_for
    from redrive.deployments.parameters import parsed

    with reachable():
        schema = deployment_of(job).parameter_openapi_schema or {}
    parameters = {**json_parameters(params_json), **parsed(dict(_pair(text) for text in param or ()), schema)}
    accepted = enqueue(job, parameters, key=key, queue=queue, delay=_duration(in_) if in_ else None, at=at)
    said = "accepted" if accepted.new else "was there already (same key)"
    if not as_json:
        due = (
            f", due in {span(accepted.due - datetime.now(UTC))}"
            if accepted.due and accepted.due > datetime.now(UTC)
            else ""
        )
        out.print(f"{job} job {accepted.name} {said}{due}: {accepted.id}", soft_wrap=True)
    if not wait:
        if as_json:
            print_json(accepted)
        return ExitCode.OK
    with err.status(f"waiting for {job} job {accepted.name}"):
        run = wait_for(accepted.id, timeout=timeout)
    state = run.state
    completed = state is not None and state.is_completed()
    if as_json:
        print_json(
            {
                "id": run.id,
                "job": job,
                "new": accepted.new,
                "state": state and state.name,
                "message": state and state.message,
            }
        )
    else:
        why = f": {state.message}" if state and state.message and not completed else ""
        out.print(
            f"{job} job {run.name} ended {state.name if state else 'unknown'} after {span(run.total_run_time)}{why}",
            soft_wrap=True,
        )
        if completed:
            _show_result(run)
        else:
            hint = "dead show" if state is not None and state.is_failed() else "jobs show"
            out.print(f"see why, and what to do, with `redrive {hint} {run.id}`", soft_wrap=True)
    return ExitCode.OK if completed else ExitCode.JOB_FAILED


def _show_result(run: FlowRun) -> None:
    """What the job handed back, where this machine can read it."""
    try:
        result: Any = run.state.result(raise_on_failure=False) if run.state is not None else None
    except Exception:  # noqa: BLE001  (results may live where only the workers reach; the job is completed all the same)
        return
    if callable(summary := getattr(result, "summary", None)):
        out.print(f"  {summary()}", soft_wrap=True)
        for output in list(result.outputs)[:SHOWN_OUTPUTS]:
            out.print(f"  {output}", soft_wrap=True)
    elif result is not None:
        out.print(f"  {result!r}"[:RESULT_WIDTH], soft_wrap=True)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ParameterError(f"--param {text!r} is not name=value")
    return name.strip(), value


def json_parameters(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        read = json.loads(sys.stdin.read() if text == "-" else text)
    except json.JSONDecodeError as error:
        raise ParameterError(f"--params-json is no JSON: {error}") from None
    if not isinstance(read, dict):
        raise ParameterError('--params-json must be one object, like {"to": "a@example.org"}')
    return read


def _duration(text: str) -> timedelta:
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ParameterError(f"--in {text!r} is no duration; write 30s, 10m, 2h, 1d or 1h30m")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))

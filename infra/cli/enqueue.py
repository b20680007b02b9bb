"""`redrive enqueue JOB`: ask for one job from the command line.

Danger: `--param k=v` is text until the job type's schema says otherwise; `--params-json` is for anything nested.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from redrive.blocks.core.durations import duration, span
from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.exit_codes import ExitCode
from redrive.infra.cli.output import err, out, print_json
from redrive.infra.cli.results import result_text

if TYPE_CHECKING:
    from redrive.deployments.accepted import Accepted


def enqueue_command(
    job: str,
    *,
    param: Annotated[list[str] | None, Parameter(name=["--param", "-p"], negative="")] = None,
    params_json: str | None = None,
    queue: str | None = None,
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
    from redrive.blocks.prefect.client import reachable
    from redrive.deployments.acceptance import deployment_of
    from redrive.deployments.enqueue import enqueue
    from redrive.deployments.job_request import due_at
    from redrive.deployments.parameters import parsed

    delay = duration("--in", in_) if in_ else None
    # Before anything is asked of Prefect.
    due_at(delay, at)
    with reachable():
        schema = deployment_of(job).parameter_openapi_schema
    parameters = {**json_parameters(params_json), **parsed(dict(_pair(text) for text in param or ()), schema)}
    accepted = enqueue(job, parameters, key=key, queue=queue, delay=delay, at=at)
    try:
        if not as_json:
            out.print(f"{job} job {accepted.name} {_accepted(accepted)}: {accepted.id}", soft_wrap=True)
        elif not wait:
            print_json(accepted)
        return _waited(accepted, timeout, as_json=as_json) if wait else ExitCode.OK
    except KeyboardInterrupt:
        err.print(
            f"redrive: {job} job {accepted.name} goes on; see how it is with `redrive jobs show {accepted.id}`, "
            f"stop it with `redrive jobs cancel {accepted.id}`",
            soft_wrap=True,
        )
        return ExitCode.INTERRUPTED


def _accepted(accepted: Accepted[Any]) -> str:
    now = datetime.now(UTC)
    due = f", due in {span(accepted.due - now)}" if accepted.due and accepted.due > now else ""
    return f"{'accepted' if accepted.new else 'was there already (same key)'}{due}"


def _waited(accepted: Accepted[Any], timeout: float | None, *, as_json: bool) -> int:
    """Wait until it ended, and say how.

    Danger: an import that Ctrl-C hits may lose it. So nothing large is imported while a person waits.
    """
    from redrive.blocks.prefect.states import COMPLETED, FAILED, PastState
    from redrive.deployments.accepted import wait_for_end
    from redrive.deployments.job_result import result_of

    with err.status(Text(f"waiting for {accepted.job} job {accepted.name}")):
        run = wait_for_end(accepted.id, timeout)
    state = PastState.of(run["state"])
    completed = state.type == COMPLETED
    if as_json:
        print_json(
            {
                "id": accepted.id,
                "job": accepted.job,
                "new": accepted.new,
                "state": state.name,
                "message": state.message or None,
            }
        )
    else:
        why = f": {state.message}" if state.message and not completed else ""
        took = span(timedelta(seconds=run["total_run_time"]))
        out.print(f"{accepted.job} job {run['name']} ended {state.name} after {took}{why}", soft_wrap=True)
        if not completed:
            hint = "dead show" if state.type == FAILED else "jobs show"
            out.print(f"see why, and what to do, with `redrive {hint} {accepted.id}`", soft_wrap=True)
        elif text := result_text(result_of(state)):
            out.print("  " + text.replace("\n", "\n  "), soft_wrap=True)
    return ExitCode.OK if completed else ExitCode.JOB_FAILED


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

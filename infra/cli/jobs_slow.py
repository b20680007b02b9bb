"""`redrive jobs slow`: where the workers' time goes, by job type and step, and which jobs took longest."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from redrive.blocks.core.durations import duration, span
from redrive.blocks.core.settings import settings
from redrive.infra.cli.output import out, print_json, print_table

Json = Annotated[bool, Parameter(name="--json", negative="")]


def slow_command(*, since: str = "24h", job: str | None = None, as_json: Json = False) -> None:
    """Show where the workers' time goes: percentiles and shares by job type and step, then the slowest jobs.

    Args:
        since: How far back: 1h, 24h, 7d; in whole hours, a week at most.
        job: Only this job type.
        as_json: Print JSON.
    """
    from redrive.deployments.health.time_spent import time_spent

    found = time_spent(settings(), duration("--since", since), job=job)
    if as_json:
        print_json(found)
        return
    rows: list[tuple[object, ...]] = []
    for one in found.types:
        rows.append((one.name, f"{one.count:,}", *map(span, (one.p50, one.p95, one.p99)), f"{one.share:.0%}"))
        rows += [
            (f"  {step.name}", f"{step.count:,}", *map(span, (step.p50, step.p95, step.p99)), f"{step.share:.0%}")
            for step in one.steps
        ]
        if one.steps:
            rows.append(("  outside of steps", "", "", "", "", f"{one.outside:.0%}"))
    columns = {"JOB TYPE": "left", "TIMES": "right", "P50": "right", "P95": "right", "P99": "right", "SHARE": "right"}
    print_table(columns, rows, none=f"no job ended in a warm worker in the last {since}")
    if found.jobs:
        out.print()
        print_table(
            {"TOOK": "right", "TYPE": "left", "LONGEST STEP": "left", "ID": "left"},
            [(span(one.attempt.seconds), one.attempt.job, one.attempt.step, one.attempt.run_id) for one in found.jobs],
            none="",
        )

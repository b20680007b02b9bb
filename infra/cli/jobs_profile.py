"""`redrive jobs profile`: where a running job's time or memory goes.

Danger: it looks into a process of somebody's job; a profile holds names of functions and files, no values.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.settings import settings
from redrive.infra.cli.output import out, print_json, print_table

#: Seconds that a profile may take.
LONGEST = 600


def profile_command(
    reference: str,
    *,
    seconds: float = 20,
    memory: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Show where a running job's processor time goes, as a flame graph; or which lines keep memory.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        seconds: How long to look.
        memory: Record what it allocates and keeps, by memray, which slows it down meanwhile; otherwise its time, by py-spy.
        as_json: Print JSON.
    """
    from redrive.blocks.prefect.client import ask, reachable
    from redrive.blocks.prefect.requests import artifacts
    from redrive.deployments.jobs.details import find_job
    from redrive.infra.profiles import memory as of_memory
    from redrive.infra.profiles import processor
    from redrive.infra.profiles.report import artifact, file_of
    from redrive.infra.profiles.running import changes, folder, process_of

    if not 0 < seconds <= LONGEST:
        raise ParameterError(f"a profile takes more than 0 and at most {LONGEST} seconds, not {seconds:g}")
    run = find_job(reference)
    pid = process_of(run, settings())
    kind = "memory" if memory else "profile"
    file = file_of(run.id, folder(settings()), kind)
    if memory:
        kept = of_memory.profile(pid, seconds, file, settings()).kept
        columns, rows = (
            ("KEPT", "ALLOCATIONS", "LINE"),
            [(_size(one.bytes), f"{one.count:,}", one.where) for one in kept],
        )
    else:
        columns = ("TIME", "SAMPLES", "FUNCTION")
        rows = processor.profile(pid, seconds, file, over=changes(pid)).rows
    message = f"{'Memory kept' if memory else 'Processor time'} in {seconds:g} s"
    with reachable():
        ask(artifacts.create(artifact(run.id, kind, message, rows, file)))
    if as_json:
        print_json({"job": run.id, "file": file, "rows": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    print_table({columns[0]: "right", columns[1]: "right", columns[2]: "left"}, rows, none="nothing")
    out.print(f"the whole report: {file}", soft_wrap=True)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB"):
        if size < 1024:  # noqa: PLR2004  (as memory is counted)
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"

"""`redrive jobs logs`: what a job wrote, all of it or as it comes.

Danger: a log is foreign text like no other; the output makes it plain.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

from cyclopts import Parameter

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.exit_codes import ExitCode
from redrive.blocks.core.nearest import unknown
from redrive.blocks.core.plain_text import plain_text
from redrive.infra.cli.output import one_line, out

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


def logs_command(
    reference: str,
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    level: str = "DEBUG",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show a job's log, the oldest line first: what its code logged and printed, in every attempt.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        follow: Go on until the job ended; Ctrl-C leaves, and the job goes on.
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL: lines of this level and above.
        as_json: Print one JSON object a line.
    """
    from redrive.deployments.jobs.details import find_job
    from redrive.deployments.jobs.logs import follow as followed
    from redrive.deployments.jobs.logs import log_of

    if level.upper() not in LEVELS:
        raise ParameterError(unknown("level", level.upper(), LEVELS))
    job_id = find_job(reference).id
    least = LEVELS[level.upper()]
    try:
        for line in followed(job_id, level=least) if follow else log_of(job_id, level=least):
            if as_json:
                sys.stdout.write(f"{one_line({**vars(line), 'level': logging.getLevelName(line.level)})}\n")
                sys.stdout.flush()
                continue
            head = f"{line.at:%Y-%m-%d %H:%M:%S}Z {logging.getLevelName(line.level):<8} "
            message = plain_text(line.message).rstrip("\n").replace("\n", f"\n{'':<{len(head)}}")
            out.print(f"{head}{message}", soft_wrap=True)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK

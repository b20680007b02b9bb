"""What the `redrive` command ends with; scripts depend on these numbers.

Danger: only ever add; a changed number breaks somebody's script silently.
"""

from __future__ import annotations

from enum import IntEnum

from redrive.blocks.core.errors import (
    ApiUnavailable,
    CatalogError,
    Conflict,
    JobFailed,
    LedgerUnavailable,
    NotFound,
    ParameterError,
    PolicyError,
    RedisUnavailable,
    SettingsError,
    UnknownJob,
)


class ExitCode(IntEnum):
    """The exit codes of every `redrive` command."""

    OK = 0
    ERROR = 1
    """Something could not be done; standard error says what and why."""
    USAGE = 2
    """The command line itself is wrong: an unknown option, job type, parameter or setting."""
    UNHEALTHY = 3
    """`redrive status` and `redrive check`: not everything is as it should be."""
    NOT_FOUND = 4
    """There is no job or dead letter of that id."""
    CONFLICT = 5
    """Somebody else acted first, or the job's state forbids it."""
    UNAVAILABLE = 6
    """Prefect's API or the ledger's database does not answer."""
    JOB_FAILED = 7
    """`--wait`: the job ended, but not Completed."""
    TIMED_OUT = 8
    """`--wait --timeout`: the job goes on."""
    INTERRUPTED = 130
    """Ctrl-C."""


def exit_code_of(error: BaseException) -> ExitCode:
    """The code an error ends a command with."""
    kinds: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], ExitCode], ...] = (
        ((UnknownJob, ParameterError, PolicyError, SettingsError, CatalogError), ExitCode.USAGE),
        (NotFound, ExitCode.NOT_FOUND),
        (Conflict, ExitCode.CONFLICT),
        ((ApiUnavailable, LedgerUnavailable, RedisUnavailable), ExitCode.UNAVAILABLE),
        (JobFailed, ExitCode.JOB_FAILED),
        (TimeoutError, ExitCode.TIMED_OUT),
        (KeyboardInterrupt, ExitCode.INTERRUPTED),
    )
    for kind, code in kinds:
        if isinstance(error, kind):
            return code
    return ExitCode.ERROR

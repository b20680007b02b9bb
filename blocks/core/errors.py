"""Every error Redrive raises, and the two ways a job may leave a try on purpose.

    RedriveError                     something Redrive itself refuses or could not do
    ├── SettingsError                a setting or REDRIVE_* name is wrong
    ├── PolicyError                  a retry policy that cannot work
    ├── CatalogError                 the catalog of job types is wrong
    │   └── UnknownJob               no job type of that name
    ├── ParameterError               parameters do not fit the job type
    ├── StackError                   the local stack could not do what was asked
    │   ├── PortTaken                another process listens on a port the stack needs
    │   ├── NoSpace                  the disk under REDRIVE_HOME is full
    │   └── ComponentFailed          a component did not become healthy
    ├── ApiUnavailable               Prefect's API cannot be reached
    ├── LedgerUnavailable                   the ledger's database cannot be reached
    ├── RedisUnavailable             Redis (Valkey), where the workers' figures are, cannot be reached
    ├── NotFound                     no job or dead letter of that id
    ├── Conflict                     somebody else acted first, or the state forbids it
    ├── JobFailed                    a job whose result is asked for ended otherwise than Completed
    └── PermanentError               raised by a job: trying again cannot help
    Snooze (Exception)               raised by a job: put it back, this was no try

Danger: `Snooze` and `PermanentError` are control flow read by the job decorator; catching `Exception` broadly inside a job hides both.
"""

from __future__ import annotations

from datetime import timedelta


class RedriveError(Exception):
    """Redrive could not do what was asked."""

    def __init__(self, message: str = "", **fields: object) -> None:
        self.fields = fields
        for name, value in fields.items():
            setattr(self, name, value)
        super().__init__(message or self._default_message())

    def _default_message(self) -> str:
        detail = (type(self).__doc__ or "").strip().splitlines()[0].rstrip(".")
        if not self.fields:
            return detail
        return f"{detail} ({', '.join(f'{name}={value}' for name, value in self.fields.items())})"


class SettingsError(RedriveError):
    """A setting is wrong."""


class PolicyError(RedriveError, ValueError):
    """A retry policy that cannot work."""


class CatalogError(RedriveError):
    """The catalog of job types is wrong."""


class UnknownJob(CatalogError):  # noqa: N818  (reads as what happened, as in the tree above)
    """There is no job type of that name."""


class ParameterError(RedriveError, ValueError):
    """The parameters do not fit the job type."""


class StackError(RedriveError):
    """The local stack could not do what was asked."""


class PortTaken(StackError):  # noqa: N818
    """Another process listens on a port the stack needs."""


class NoSpace(StackError):  # noqa: N818
    """The disk under REDRIVE_HOME is full."""


class ComponentFailed(StackError):  # noqa: N818
    """A component did not become healthy."""


class ApiUnavailable(RedriveError):  # noqa: N818
    """Prefect's API cannot be reached."""


class LedgerUnavailable(RedriveError):  # noqa: N818
    """The ledger's database cannot be reached."""


class RedisUnavailable(RedriveError):  # noqa: N818
    """Redis is unavailable, so what the workers counted is not known."""


class NotFound(RedriveError):  # noqa: N818
    """There is no job or dead letter of that id."""


class Conflict(RedriveError):  # noqa: N818
    """Somebody else acted first, or the state of the job forbids it."""


class JobFailed(RedriveError):  # noqa: N818
    """The job ended otherwise than Completed."""

    id: object
    state: str


class PermanentError(RedriveError):
    """Trying again cannot help."""


class Snooze(Exception):  # noqa: N818  (a request, not an error)
    """Put this job back without spending a try: `raise Snooze(minutes=5)`.

    Args:
        seconds, minutes, hours: how long from now, added up; more than 0.
        why: said in the state message, so that an operator knows what the job waits for.
    """

    def __init__(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, why: str = "") -> None:
        self.delay = timedelta(seconds=seconds, minutes=minutes, hours=hours)
        if self.delay <= timedelta(0):
            raise PolicyError("Snooze needs a time: give seconds, minutes or hours greater than 0")
        self.why = why
        super().__init__(f"snoozed for {self.delay.total_seconds():g} s" + (f": {why}" if why else ""))

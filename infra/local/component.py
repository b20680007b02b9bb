"""What a component of the local stack is: how it runs, how one knows that it works, how it stops.

Danger: `program` is called in the component's own process, after it took on the account it runs as; everything else is
called by `redrive up` or `redrive status`.
"""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from redrive.blocks.core.settings import Settings
from redrive.infra.local.failure_reason import reason
from redrive.infra.local.process import Account

Report = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """What a component's process becomes: an argument list without secrets, and what its environment has of its own."""

    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    #: Where the inherited environment says otherwise, it wins.
    defaults: dict[str, str] = field(default_factory=dict)
    #: Names of the inherited environment that it must not have.
    without: frozenset[str] = frozenset()


class Component(ABC):
    """One program of one stack. Override what differs from these defaults."""

    name: ClassVar[str]
    #: Components that must be healthy before this one starts.
    needs: ClassVar[tuple[str, ...]] = ()
    #: The setting that puts a server of one's own in this one's place.
    replaced_by: ClassVar[str] = ""
    #: The setting that names the port it listens on.
    port_setting: ClassVar[str] = ""
    #: Seconds it may take until it is healthy; generous, as a machine may be busy with other things.
    start_timeout: ClassVar[float] = 60
    #: Seconds after which a start counts as a success; an exit before is retried with growing pauses (1, 2, 3 … s).
    start_seconds: ClassVar[int] = 2
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._log_begin = 0

    @property
    def stop_seconds(self) -> int:
        """Seconds between the request to stop and SIGKILL."""
        return 15

    @property
    def is_external(self) -> bool:
        """Whether the settings name another server instead."""
        return False

    @property
    def port(self) -> int | None:
        """The TCP port it listens on, if it does."""
        return getattr(self.settings, self.port_setting) if self.port_setting else None

    @property
    def account(self) -> Account | None:
        """Whom it runs as; None for whoever calls `redrive up`."""
        return None

    @property
    def working_pid(self) -> int | None:
        """The process that does the work, where it is another one than supervisord watches."""
        return None

    @property
    def folder(self) -> Path:
        """Its working directory."""
        return self.settings.home

    @abstractmethod
    def program(self) -> Program:
        """What to run. May prepare data of its own; runs again at every restart."""

    @abstractmethod
    def healthy(self) -> bool:
        """Ask it over its own protocol, within a second or two. Never raises for a server that does not answer."""

    def examine(self) -> tuple[bool, str]:
        """Whether it is healthy and, if not, why, in one sentence, where it can say more than that it does not answer."""
        return self.healthy(), ""

    def prepare(self) -> None:  # noqa: B027  (most need none of these three)
        """Called by `redrive up` before it starts."""

    def meanwhile(self, report: Report) -> None:  # noqa: B027
        """Called by `redrive up` while it starts: work that needs only what it needs."""

    def settle(self) -> None:  # noqa: B027
        """Called by `redrive up` once it is healthy, before others that need it start."""

    @property
    def log(self) -> Path:
        return log_file(self.settings, self.name)

    def count_start(self) -> None:
        """Note that it starts. supervisord itself keeps no count."""
        with self._starts.open("ab") as starts:
            starts.write(b".")

    def forget(self) -> None:
        """Forget what is known of earlier starts. Called before `redrive up` starts it."""
        self._starts.unlink(missing_ok=True)
        self._log_begin = self.log.stat().st_size if self.log.exists() else 0

    @property
    def failure(self) -> str:
        """Why it ended, from what it logged since `redrive up` started it; empty if it said nothing."""
        return reason(last_lines(self.log, 200, since=self._log_begin))

    @property
    def starts(self) -> int:
        """How often it was started since `redrive up` last started it."""
        try:
            return self._starts.stat().st_size
        except FileNotFoundError:
            return 0

    def has_begun(self, since: float) -> bool:
        """Whether the process that supervisord started at `since` (seconds since the epoch) has come as far as to count itself.

        Until then what looks healthy is what the one before it left behind.
        """
        try:
            return self._starts.stat().st_mtime >= since
        except FileNotFoundError:
            return False

    @property
    def _starts(self) -> Path:
        return self.settings.home / "run" / f"{self.name}.starts"


def log_file(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"{name}.log"


def last_lines(path: Path, count: int = 12, at_most: int = 16_384, since: int = 0) -> str:
    """The end of a log file, from byte `since` at the earliest; empty if there is none."""
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            # Shorter than that: it was rotated meanwhile.
            log.seek(max(since if since <= end else 0, end - at_most))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-count:])

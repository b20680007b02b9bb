"""supervisord: its configuration, its process, and the few things we ask it.

It starts, watches, restarts and stops; order and health are decided in `stack.py`.

Danger: its configuration has rules of its own for `%`, `;` and quotes: paths in it are relative to REDRIVE_HOME,
where it runs.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
from supervisor.xmlrpc import SupervisorTransport, UnixStreamHTTPConnection

from redrive.blocks.core.errors import ComponentFailed, StackError
from redrive.blocks.core.settings import Settings
from redrive.infra.local.component import Component, last_lines, log_file
from redrive.infra.local.failure_reason import reason
from redrive.infra.local.marks import marks

#: States of a component whose process lives.
UP = frozenset({"RUNNING", "STARTING"})

#: Bytes of a log before it is rotated, and how many old ones are kept: 40 MB a component at most.
_LOG_BYTES = "10MB"
_LOG_BACKUPS = 3
#: supervisord waits one second more after each failed start in a row, and gives up after this many: about a year.
_START_RETRIES = 8_000
#: Seconds supervisord may take to answer first.
_START_TIMEOUT = 20.0


#: Seconds it may take to answer a question, and to stop a component: more than any gets until it is killed.
PATIENCE = 4.0
STOP_PATIENCE = 600.0


@dataclass(frozen=True)
class Running:
    """What supervisord knows of one component."""

    name: str
    state: str
    pid: int
    #: Seconds since the epoch.
    since: float


class SupervisorUnresponsive(StackError):  # noqa: N818  (reads as what happened)
    """The stack's supervisor does not answer."""


class _Connection(UnixStreamHTTPConnection):  # type: ignore[misc]  # supervisord has no types
    """Does not wait for ever for a supervisord that is frozen."""

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self.timeout)


class _Transport(SupervisorTransport):  # type: ignore[misc]  # supervisord has no types
    def __init__(self, socket: Path, seconds: float) -> None:
        super().__init__(None, None, f"unix://{socket}")
        self._socket, self._seconds = socket, seconds
        self._get_connection = self._open  # the base class keeps its own there

    def _open(self) -> _Connection:
        made = _Connection("localhost", timeout=self._seconds)
        made.socketfile = str(self._socket)
        return made


class Supervisor:
    """A live supervisord of this stack. Use as a context manager: it holds a connection."""

    def __init__(self, settings: Settings, patience: float) -> None:
        self._transport = _Transport(_socket(settings), patience)
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=self._transport)
        self._rpc: Any = proxy.supervisor  # names are made up at run time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    @classmethod
    def find(cls, settings: Settings) -> Self | None:
        """The stack's supervisord, if one answers; one that hangs is none."""
        try:
            if found := cls.ask(settings):
                with found:
                    # Stopping a component takes longer than an answer.
                    return cls(settings, STOP_PATIENCE)
        except SupervisorUnresponsive:
            pass  # whoever starts or stops the stack ends it as a leftover
        return None

    @classmethod
    def ask(cls, settings: Settings) -> Self | None:
        """The stack's supervisord for questions, if there is one.

        Raises:
            SupervisorUnresponsive: it takes calls and does not answer.
        """
        found = cls(settings, PATIENCE)
        try:
            found._rpc.getPID()
        except TimeoutError:
            found._transport.close()
            raise SupervisorUnresponsive(
                f"the supervisor of this stack does not answer within {PATIENCE:g} s: `redrive up` starts the stack over"
            ) from None
        except (OSError, xmlrpc.client.Error):
            found._transport.close()
            return None
        return found

    @classmethod
    def begin(cls, settings: Settings, parts: list[Component]) -> Self:
        """Start a supervisord that starts nothing yet.

        Raises:
            ComponentFailed: it does not answer.
        """
        config = settings.home / "run" / "supervisord.conf"
        config.touch(mode=0o600)
        config.write_text(configuration(settings, parts))
        log = log_file(settings, "supervisor")
        with log.open("ab") as output:
            process = subprocess.Popen(  # it outlives us
                [sys.executable, "-P", "-W", "ignore", "-m", "supervisor.supervisord", "-c", "run/supervisord.conf"],
                cwd=settings.home,
                env={**os.environ, **marks(settings, "supervisor")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline and process.poll() is None:
            if found := cls.find(settings):
                return found
            time.sleep(0.05)
        raise ComponentFailed(
            f"the supervisor did not start: {reason(last_lines(log, 200)) or 'no reason'} (its log: {log})"
        )

    @property
    def pid(self) -> int:
        return int(self._rpc.getPID())

    def all(self) -> dict[str, Running]:
        """Each component's state by name."""
        answer = self._rpc.getAllProcessInfo()
        return {one["name"]: Running(one["name"], one["statename"], one["pid"], one["start"]) for one in answer}

    def start(self, name: str) -> None:
        """Start a component that does not run; one that waits for its next try is started now."""
        if self.all()[name].state in {"BACKOFF", "STOPPING"}:
            self._rpc.stopProcess(name, True)  # noqa: FBT003  (XML-RPC has no keywords)
        self._rpc.startProcess(name, False)  # noqa: FBT003

    def stop(self, name: str) -> None:
        """Stop a component and wait until it is gone."""
        if self.all()[name].state not in {"STOPPED", "EXITED", "FATAL"}:
            self._rpc.stopProcess(name, True)  # noqa: FBT003

    def end(self, timeout: float = 30) -> None:
        """Stop what still runs, and supervisord itself."""
        process = psutil.Process(self.pid)
        self._rpc.shutdown()
        psutil.wait_procs([process], timeout=timeout)


def configuration(settings: Settings, parts: list[Component]) -> str:
    """What supervisord reads for these components."""
    account = "user=root\n" if os.geteuid() == 0 else ""  # it asks root to say so
    launch = f"{shlex.quote(sys.executable)} -P -m redrive.infra.local.launch".replace("%", "%%")
    head = f"""\
[unix_http_server]
file={_socket_in_configuration(settings)}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
nodaemon=true
identifier=redrive-{settings.stack_id}
pidfile=run/supervisord.pid
logfile=logs/supervisor.log
logfile_maxbytes={_LOG_BYTES}
logfile_backups={_LOG_BACKUPS}
childlogdir=logs
umask={_umask():03o}
{account}"""
    programs = [
        f"""
[program:{part.name}]
command={launch} {part.name}
environment=REDRIVE_COMPONENT="{part.name}"
priority={number}
autostart=false
autorestart=true
startsecs={part.start_seconds}
startretries={_START_RETRIES}
stopsignal={part.stop_signal.name.removeprefix("SIG")}
stopwaitsecs={part.stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{part.name}.log
stdout_logfile_maxbytes={_LOG_BYTES}
stdout_logfile_backups={_LOG_BACKUPS}
"""
        for number, part in enumerate(parts, 1)
    ]
    return head + "".join(programs)


def _umask() -> int:
    """The caller's: files that jobs make get the rights a person's own would."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _socket(settings: Settings) -> Path:
    return settings.socket_folder / "supervisor.sock"


def _socket_in_configuration(settings: Settings) -> str:
    socket = _socket(settings)
    inside = socket.is_relative_to(settings.home)
    return str(socket.relative_to(settings.home) if inside else socket).replace("%", "%%")

"""The ports the stack listens on: another one where the usual one is taken, unless a person named it; who has it then."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

import psutil

from redrive.blocks.core.errors import PortTaken, StackError
from redrive.blocks.core.settings import Settings
from redrive.infra.local.component import Component, Report

#: How far from the usual port another one is looked for: neighbours are easy to remember.
_NEAR = 100


def choose_ports(settings: Settings, parts: list[Component], report: Report) -> Settings:
    """The settings with a free port for each component that is to start and whose port is taken.

    Raises:
        PortTaken: a port that a person named is taken; says all of them.
        StackError: the address is none of this machine's.
    """
    listening = [part for part in parts if part.port is not None]
    named = [part for part in listening if part.port_setting in settings.given]
    check_ports(settings, named)
    reserved = {part.port for part in listening if part.port is not None}
    chosen: dict[str, int] = {}
    for part in listening:
        if part in named or part.port is None or not (clash := _clash(settings.host, part)):
            continue
        port = _free(settings.host, part, reserved)
        if port is None:
            raise clash
        reserved.add(port)
        chosen[part.port_setting] = port
        report(f"{part.name:<10} port {port}, as {part.port} is taken")
    return settings.model_copy(update=chosen) if chosen else settings


def check_ports(settings: Settings, parts: Iterable[Component]) -> None:
    """See that each component that is to start can have its port.

    Raises:
        PortTaken: other processes have some; says which, and which settings to change.
        StackError: the address is none of this machine's.
    """
    clashes = [clash for part in parts if part.port is not None and (clash := _clash(settings.host, part))]
    if not clashes:
        return
    if len(clashes) == 1:
        raise clashes[0]
    raise PortTaken("; ".join(str(clash) for clash in clashes), **clashes[0].fields)


def _free(host: str, part: Component, reserved: set[int]) -> int | None:
    usual = part.port or 0
    near = (port for port in range(usual + 1, min(usual + _NEAR, 65_536)) if port not in reserved)
    return next((port for port in near if _bind(host, port, part) is None), None)


def _clash(host: str, part: Component) -> PortTaken | None:
    assert part.port is not None  # noqa: S101  (tells mypy; callers have seen to it)
    if _bind(host, part.port, part) is None:
        return None
    pid, owner = _owner(part.port)
    setting = _setting(part)
    return PortTaken(
        f"port {part.port} for {part.name} is taken by {owner}: stop it, or set {setting} to a free port",
        port=part.port,
        pid=pid,
        setting=setting,
    )


def _bind(host: str, port: int, part: Component) -> OSError | None:
    """What keeps this port from being listened on: somebody who does."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the servers do it: connections of a server that is gone do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return error
        raise StackError(
            f"cannot listen on {host}:{port} for {part.name} ({error.strerror or error}): change REDRIVE_HOST or {_setting(part)}"
        ) from None
    return None


def _setting(part: Component) -> str:
    return f"REDRIVE_{part.port_setting.upper()}"


def _owner(port: int) -> tuple[int | None, str]:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return connection.pid, f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass  # not allowed to look, or it is gone: the port is taken all the same
    return None, "another process"

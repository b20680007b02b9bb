"""Whether the ports the stack needs are free, and who has them if not."""

from __future__ import annotations

import errno
import socket

import psutil

from redrive.blocks.errors import PortTaken, StackError
from redrive.blocks.settings import Settings
from redrive.infra.local.component import Component


def check_ports(settings: Settings, parts: list[Component]) -> None:
    """See that each component that is to start can have its port.

    Raises:
        PortTaken: another process has one; says which, and which setting to change.
        StackError: the address is none of this machine's.
    """
    for part in parts:
        if part.port is not None:
            _check(settings.host, part.port, f"REDRIVE_{part.port_setting.upper()}", part.name)


def _check(host: str, port: int, setting: str, name: str) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the servers do it: connections of a server that is gone do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            pid, owner = _owner(port)
            raise PortTaken(
                f"port {port} for {name} is taken by {owner}: stop it, or set {setting} to a free port",
                port=port,
                pid=pid,
                setting=setting,
            ) from None
        raise StackError(
            f"cannot listen on {host}:{port} for {name} ({error.strerror or error}): change REDRIVE_HOST or {setting}"
        ) from None


def _owner(port: int) -> tuple[int | None, str]:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return connection.pid, f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass  # not allowed to look, or it is gone: the port is taken all the same
    return None, "another process"

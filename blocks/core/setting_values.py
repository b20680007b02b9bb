"""Settings that are lists in one text: what each may hold."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path

_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?")

#: The queues there always are, first served first.
QUEUES = ("high", "default", "low")
_QUEUE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def absolute_folders(value: object) -> object:
    """Folders of a text with `:` between them."""
    if not isinstance(value, str):
        return value
    folders = [Path(part).expanduser() for part in value.split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_absolute():
            raise ValueError(f"{str(folder)!r} must begin with /, so that it means the same wherever a job runs")
    return tuple(folders)


def queue_names(value: object) -> object:
    """Names of queues of a text with commas, those that there always are among them."""
    names = _listed(value) if isinstance(value, str) else value
    if isinstance(names, tuple | list):
        if wrong := [name for name in names if not _QUEUE.fullmatch(name)]:
            raise ValueError(f"{wrong[0]!r} is no name of a queue; write lower-case letters, digits and dashes")
        if missing := [name for name in QUEUES if name not in names]:
            raise ValueError(f"it must name {', '.join(missing)} too: jobs of Redrive and others wait there")
        if len(set(names)) != len(names):
            raise ValueError("it names a queue twice")
    return names


def listed(value: object) -> object:
    """Names of a text with commas."""
    return _listed(value) if isinstance(value, str) else value


def with_trace_id(value: object) -> object:
    """An address that says where the trace goes."""
    if value and "{trace_id}" not in str(value):
        raise ValueError("it must say where the trace goes, by {trace_id}")
    return value


def networks(value: object) -> object:
    """Addresses or networks of a text with commas."""
    if not isinstance(value, str):
        return value
    given = _listed(value)
    for network in given:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"{network!r} is no address or network (CIDR), like 127.0.0.1 or 10.1.0.0/16") from None
    return given


def hosts_and_networks(value: object) -> object:
    """Hosts, addresses or networks of a text with commas."""
    if not isinstance(value, str):
        return value
    hosts = _listed(value)
    for host in hosts:
        try:
            ip_network(host, strict=False)
        except ValueError:
            if "/" in host or not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no host name, address or network (CIDR)") from None
    return hosts


def _listed(value: str) -> tuple[str, ...]:
    """The parts of a text with commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip())

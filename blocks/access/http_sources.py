"""Reaches HTTP sources that a job's parameters name: public addresses only, and nothing else without a setting.

Whoever may enqueue a job chooses its addresses, and whoever answers chooses where a redirect leads; neither may thereby reach
what only this machine or its network can: loopback, private and link-local addresses, a cloud's metadata service. Hosts and
networks that are meant to be reached are named in REDRIVE_PRIVATE_HOSTS.

    with guarded(timeout=30) as transport: answer = transport.handle_request(request)

Danger: a name that was judged may lead elsewhere a moment later. So a name is resolved once, what it led to is judged, and
that very address is connected to; the address of the connected peer is judged again.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpcore
import httpx

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.settings import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Networks that `ipaddress` calls global, or called so in some of its versions, and that lead to no public host.
_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "100::/64",
        "fec0::/10",
        "fc00::/7",
    )
)
#: NAT64: the last 32 bits are an IPv4 address.
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class HostRefused(PermanentError):  # noqa: N818  (reads as what happened, as in blocks/core/errors.py)
    """A host leads to an address that jobs may not reach."""


def is_public(address: str) -> bool:
    """Whether an address leads to a host of the public internet, also through what is embedded in it."""
    one = ipaddress.ip_address(address.partition("%")[0])
    return all(map(_is_public, (one, *_embedded(one))))


def is_allowed(host: str, address: str, allowed: Iterable[str]) -> bool:
    """Whether a job may connect to an address that `host` led to.

    Args:
        allowed: names, addresses and networks (CIDR), as in REDRIVE_PRIVATE_HOSTS.
    """
    if is_public(address):
        return True
    one = ipaddress.ip_address(address.partition("%")[0])
    candidates = (one, *_embedded(one)) if getattr(one, "ipv4_mapped", None) else (one,)
    for entry in allowed:
        if entry.casefold() == host.casefold().strip("[]"):
            return True
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:  # a name
            continue
        if any(candidate in network for candidate in candidates if candidate.version == network.version):
            return True
    return False


def without_secrets(url: str) -> str:
    """An address without login, query and fragment, which may hold a token."""
    try:
        parts = httpx.URL(url)
        return str(parts.copy_with(username=None, password=None, query=None, fragment=None))
    except httpx.InvalidURL:
        return f"{url.partition('://')[0][:20]}://…" if "://" in url else "the address"


@contextmanager
def guarded(*, allowed: tuple[str, ...] | None = None) -> Iterator[httpx.BaseTransport]:
    """A transport that connects to nothing but what jobs may reach; follows no redirect and asks no proxy.

    Args:
        allowed: instead of REDRIVE_PRIVATE_HOSTS.
    """
    transport = _Transport(settings().private_hosts if allowed is None else allowed)
    try:
        yield transport
    finally:
        transport.close()


class _Backend(httpcore.NetworkBackend):
    """Resolves a name once and connects to an address that was judged. TLS still asks for the name."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = allowed
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolved(host, port)
        for address in addresses:
            # One that may not be reached condemns the name: a mix of both is how a guard is probed.
            self._judge(host, address)
        problem: Exception | None = None
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
                continue
            peer = stream.get_extra_info("server_addr")
            try:
                self._judge(host, peer[0])
            except BaseException:
                stream.close()
                raise
            return stream
        raise problem or httpcore.ConnectError(f"{host} has no address")

    def _resolved(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            detail = getattr(error, "strerror", None) or str(error)
            raise httpcore.ConnectError(f"its name cannot be resolved: {detail}") from error
        return list(dict.fromkeys(str(one[4][0]) for one in found))

    def _judge(self, host: str, address: str) -> None:
        if not is_allowed(host, address, self._allowed):
            raise HostRefused(
                f"{host} leads to {address}, which is no public address: a job's HTTP sources reach public hosts only; "
                "name the host in the setting REDRIVE_PRIVATE_HOSTS if it is meant"
            )


class _Transport(httpx.BaseTransport):
    """httpx's own transport takes no network backend, so this stands between it and httpcore."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False), network_backend=_Backend(allowed), http2=False
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = self._pool.handle_request(asked)
        assert isinstance(answer.stream, Iterable)  # noqa: S101  (tells mypy: a pool that is not async)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=answer.extensions,
            request=request,
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._stream

    def close(self) -> None:
        if hasattr(self._stream, "close"):
            self._stream.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except httpcore.UnsupportedProtocol as error:
        raise httpx.UnsupportedProtocol(str(error)) from error
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise httpx.TransportError(str(error) or type(error).__name__) from error


def _is_public(one: Address) -> bool:
    return (
        one.is_global
        and not one.is_multicast
        and not one.is_reserved
        and not one.is_unspecified
        and not any(one in network for network in _CLOSED if one.version == network.version)
    )


def _embedded(one: Address) -> list[Address]:
    """The IPv4 addresses an IPv6 address stands for: mapped, compatible, 6to4, Teredo and NAT64."""
    if isinstance(one, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [one.ipv4_mapped, one.sixtofour, *(one.teredo or ())]
    if any(one in network for network in _NAT64) or int(one) >> 32 == 0:
        found.append(ipaddress.IPv4Address(int(one) & 0xFFFFFFFF))
    return [address for address in found if address is not None]

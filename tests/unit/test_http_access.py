"""HTTP sources reach public hosts only: whatever name, address or redirect leads elsewhere is refused."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from redrive.blocks.access import http_sources as http_access
from redrive.blocks.access.http_sources import HostRefused, guarded, is_allowed, is_public, without_secrets
from redrive.blocks.core.errors import PermanentError, SettingsError
from redrive.blocks.core.settings import Settings
from redrive.flows.sync.source.download import DownloadBudget, download
from redrive.flows.sync.source.limits import Limits
from redrive.flows.sync.source.unreachable import SourceUnreachable
from tests.support.http_source import Reply, serving


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104  (refused)
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_address_that_is_not_public_is_refused(address: str):
    assert not is_public(address)
    assert not is_allowed("example.com", address, ())


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "8.8.8.8"])
def test_public_address_is_allowed(address: str):
    assert is_allowed("example.com", address, ())


def test_setting_allows_a_name_an_address_or_a_network():
    allowed = Settings.load({"REDRIVE_PRIVATE_HOSTS": "intranet.example.com, 10.1.0.0/16,::1"}).private_hosts
    assert is_allowed("intranet.example.com", "192.168.1.1", allowed)
    assert is_allowed("other.example.com", "10.1.2.3", allowed)
    assert is_allowed("other.example.com", "::ffff:10.1.2.3", allowed)
    assert is_allowed("localhost", "::1", allowed)
    assert not is_allowed("other.example.com", "10.2.0.1", allowed)
    assert not is_allowed("other.example.com", "127.0.0.1", allowed)
    with pytest.raises(SettingsError, match="no host name, address or network"):
        Settings.load({"REDRIVE_PRIVATE_HOSTS": "10.1.0.0/99"})


def asked(url: str, folder: Path) -> Any:
    return download(url, folder / "answer", DownloadBudget(Limits()))


@pytest.fixture
def nothing_private(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """This process as one without the setting, or with the given one."""

    def allow(hosts: str = "") -> None:
        monkeypatch.setenv("REDRIVE_PRIVATE_HOSTS", hosts)
        http_access.settings.cache_clear()

    allow()
    return allow


@pytest.fixture(autouse=True)
def settings_of_this_test() -> Any:
    yield
    http_access.settings.cache_clear()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_source_on_this_machine_is_refused_however_it_is_written(
    nothing_private: Callable[[str], None], tmp_path: Path, host: str
):
    with serving(lambda _path, _headers: Reply(b"id\n1\n")) as url:
        port = url.rpartition(":")[2]
        with pytest.raises(HostRefused, match="no public address"):
            asked(f"http://{host}:{port}/data", tmp_path)


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "//[::1]:1/"])
def test_redirect_to_what_is_not_allowed_is_refused(nothing_private: Callable[[str], None], tmp_path: Path, place: str):
    nothing_private("127.0.0.1/32")

    def answer(path: str, _headers: object) -> Reply:
        return Reply(status=302, headers={"Location": place if path == "/2" else "/2"})

    with serving(answer) as url, pytest.raises(HostRefused, match="no public address"):
        asked(url, tmp_path)


def test_name_is_resolved_once_and_only_what_was_judged_is_connected_to(
    nothing_private: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """DNS rebinding: the first answer is public, every later one leads to this machine."""
    resolved: list[str] = []
    connected: list[str] = []
    plain = socket.getaddrinfo

    def rebinding(host: str, port: int, *more: object, **options: object) -> Any:
        if host == "rebinding.example.com":
            resolved.append(host)
            return plain("93.184.215.14" if len(resolved) == 1 else "127.0.0.1", port, *more, **options)  # type: ignore[arg-type]
        return plain(host, port, *more, **options)  # type: ignore[arg-type]

    def connect(address: tuple[str, int], *more: object, **options: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(SourceUnreachable):
        asked("http://rebinding.example.com/data", tmp_path)
    assert resolved == ["rebinding.example.com"]
    assert connected == ["93.184.215.14"]
    with pytest.raises(HostRefused, match=r"leads to 127\.0\.0\.1"):
        asked("http://rebinding.example.com/data", tmp_path)


def test_name_that_leads_to_this_machine_too_is_refused_before_anything_is_connected(
    nothing_private: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    connected: list[object] = []
    plain = socket.getaddrinfo

    def connect(address: object, *_more: object, **_options: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    def both(_host: str, port: int, *more: object, **options: object) -> Any:
        found = [plain(one, port, *more, **options) for one in ("93.184.215.14", "127.0.0.1")]  # type: ignore[arg-type]
        return [one for each in found for one in each]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(HostRefused, match=r"leads to 127\.0\.0\.1"):
        asked("http://mixed.example.com/data", tmp_path)
    assert connected == []


def test_connected_peer_is_judged_too(nothing_private: Callable[[str], None], monkeypatch: pytest.MonkeyPatch):
    """Whatever stands between the judged address and the socket: the peer is what counts."""
    with serving(lambda _path, _headers: Reply(b"id\n1\n")) as url:
        port = int(url.rpartition(":")[2])
        plain = socket.create_connection
        monkeypatch.setattr(socket, "create_connection", lambda *_address, **_options: plain(("127.0.0.1", port)))
        with guarded() as transport, pytest.raises(HostRefused, match=r"leads to 127\.0\.0\.1"):
            transport.handle_request(httpx.Request("GET", f"http://93.184.215.14:{port}/"))


@pytest.mark.parametrize(
    "url",
    ["ftp://me:hidden@example.com/x?token=hidden", "http://me:hidden@[::bad/x?token=hidden", "http:///x?token=hidden"],
)
def test_address_that_cannot_be_asked_is_permanent_and_its_secrets_stay_hidden(url: str, tmp_path: Path):
    with pytest.raises(PermanentError) as refused:
        asked(url, tmp_path)
    assert "hidden" not in str(refused.value) + without_secrets(url) + repr(refused.value.__cause__)


def test_redirects_in_circles_are_permanent_and_their_secrets_stay_hidden(tmp_path: Path):
    with (
        serving(lambda path, _headers: Reply(status=302, headers={"Location": f"{path}"})) as url,
        pytest.raises(PermanentError, match="redirects in circles") as refused,
    ):
        asked(f"{url.replace('://', '://me:hidden@')}/a?token=hidden", tmp_path)
    assert "hidden" not in str(refused.value)


def test_login_and_query_are_in_no_log_and_the_login_stays_with_its_host(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    given: list[tuple[str, str | None]] = []

    def other(path: str, headers: Any) -> Reply:
        given.append((path, headers.get("Authorization")))
        return Reply(b"id\n1\n")

    with serving(other) as elsewhere:

        def first(path: str, headers: Any) -> Reply:
            given.append((path, headers.get("Authorization")))
            return Reply(status=302, headers={"Location": f"{elsewhere}/there"})

        with serving(first) as url, caplog.at_level(logging.DEBUG):
            asked(f"{url.replace('://', '://me:hid%20den@')}/data?token=hidden", tmp_path)
    assert given == [("/data?token=hidden", "Basic bWU6aGlkIGRlbg=="), ("/there", None)]
    assert "hidden" not in caplog.text
    assert "bWU6" not in caplog.text

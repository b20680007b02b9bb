"""The certificates of infra/compose, in real handshakes; and our servers that speak TLS with them."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from redrive.blocks.core.errors import SettingsError
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect import transport
from redrive.blocks.prefect.client_settings import ClientSettings
from redrive.dashboards.exporter.server import MetricsServer
from redrive.infra.docker.certificates import SERVERS, make
from redrive.infra.docker.healthy import complaint
from tests.support.stack import free_ports

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here, so no certificate can be made")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("certificates") / "tls"
    before = os.umask(0o077)
    try:
        make(found, ("jobs.example.com",))
    finally:
        os.umask(before)
    return found


def greeted(folder: Path, server: str, name: str) -> str:
    """What a client says of a server that it asks for by this name."""
    here = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    here.load_cert_chain(folder / server / "tls.crt", folder / server / "tls.key")
    # As strict as Python 3.13 is from the start.
    client = ssl.create_default_context(cafile=folder / "trusted" / "ca.crt")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with ours, here.wrap_socket(ours, server_side=True, do_handshake_on_connect=False) as spoken:
            try:
                spoken.do_handshake()
            except (ssl.SSLError, ConnectionError):
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with theirs, client.wrap_socket(theirs, server_hostname=name):
            return "ok"
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        thread.join()


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_each_server_is_believed_by_its_names_and_by_no_other(folder: Path, server: str) -> None:
    for name in (*SERVERS[server], "localhost", "127.0.0.1"):
        assert greeted(folder, server, name) == "ok", name
    other = next(name for one, names in SERVERS.items() for name in names if one != server)
    assert "Hostname mismatch" in greeted(folder, server, other)


def test_people_reach_some_by_names_of_their_own(folder: Path) -> None:
    assert greeted(folder, "proxy", "jobs.example.com") == "ok"
    assert greeted(folder, "console", "jobs.example.com") == "ok"
    assert "Hostname mismatch" in greeted(folder, "postgres", "jobs.example.com")


def test_they_are_made_once_and_another_name_renews_those_that_people_reach(tmp_path: Path) -> None:
    assert make(tmp_path / "tls", ("a.example.com",))[0] == "ca"
    authority = (tmp_path / "tls" / "ca.crt").read_text()

    assert make(tmp_path / "tls", ("a.example.com",)) == []
    assert make(tmp_path / "tls", ("b.example.com",)) == ["proxy", "console", "grafana"]
    assert (tmp_path / "tls" / "ca.crt").read_text() == authority
    assert greeted(tmp_path / "tls", "proxy", "b.example.com") == "ok"


def test_what_is_mounted_can_be_read_and_the_authoritys_key_cannot(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
    for path in (*folder.glob("*/*.crt"), *folder.glob("*/tls.key")):
        assert path.stat().st_mode & 0o444 == 0o444, path
        assert path.parent.stat().st_mode & 0o555 == 0o555
    assert list(folder.glob("*/ca.key")) == []


@contextmanager
def metrics(certificate: tuple[Path, Path] | tuple[None, None]) -> Iterator[dict[str, str]]:
    """An exporter's server; the environment of its container."""
    port = free_ports("metrics_port")["metrics_port"]
    now: Any = SimpleNamespace(ledger_read=None, failing={"read the ledger": "it is not there"}, read=None)
    server = MetricsServer("127.0.0.1", port, lambda: now, certificate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"REDRIVE_METRICS_PORT": str(port)}
    finally:
        server.shutdown()
        server.server_close()


def test_exporter_speaks_tls_and_its_health_check_believes_it(folder: Path) -> None:
    here = Settings.load({"REDRIVE_TLS": str(folder / "exporter"), "REDRIVE_HOME": "/nowhere"})
    with metrics(here.certificate()) as environ:
        said = complaint("exporter", {**environ, "REDRIVE_TLS": str(folder / "exporter")})
        assert said is not None
        # It was reached: what is wrong is what it says itself.
        assert said.startswith("https://")
        assert "answers 503" in said
        assert "does not answer" in str(complaint("exporter", environ))
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            urllib.request.urlopen(f"https://127.0.0.1:{environ['REDRIVE_METRICS_PORT']}/health", timeout=5)


def test_certificate_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    here = Settings.load({"REDRIVE_TLS": str(tmp_path), "REDRIVE_HOME": "/nowhere"})

    with pytest.raises(SettingsError, match=r"tls\.crt is not there, or not for this account"):
        here.certificate()


def test_client_of_the_api_believes_whom_the_environment_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "trusted" / "ca.crt"))
    # As a producer that loads no Prefect has them.
    monkeypatch.setattr(transport, "client_settings", ClientSettings)

    context = transport._tls("https://proxy:4200/api")

    assert isinstance(context, ssl.SSLContext)
    assert [dict(part[0] for part in one["subject"])["commonName"] for one in context.get_ca_certs()] == ["Redrive"]

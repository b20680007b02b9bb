"""The certificates of infra/compose with TLS, by an authority of its own: `python infra/docker/certificates.py FOLDER [NAME …]`.

Further names are those under which people reach proxy, console and Grafana. What is there and stays valid for a month is left alone;
run it again to renew the rest, and start the servers anew. With an authority of your own, put its files in their places instead.

Danger: whoever has `ca.key` can be any of these servers. Nothing mounts it; move it away from this host where that counts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

#: The folder of each server, and the names that its clients ask for.
SERVERS = {
    "postgres": ("postgres",),
    "redis": ("redis",),
    "server": ("prefect", "prefect-1", "prefect-2"),
    "proxy": ("proxy",),
    "exporter": ("exporter",),
    "console": ("console",),
    "grafana": ("grafana",),
}
#: Those that people reach.
PUBLIC = ("proxy", "console", "grafana")
#: Days that a server's certificate is valid; and the authority's.
DAYS, AUTHORITY_DAYS = 397, 3650
#: Seconds that must be left, else it is renewed.
LEFT = 30 * 86400
#: Of a server's certificate. Python checks for the identifiers.
EXTENSIONS = (
    "extendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n"
    "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
)
#: Of the authority's own.
AUTHORITY = ("basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign")


class NoOpenssl(Exception):  # noqa: N818  (named like what happened)
    """One sentence that says what to do."""


def make(folder: Path, names: tuple[str, ...] = ()) -> list[str]:
    """Make what is missing or runs out; the folders that were written.

    Raises:
        NoOpenssl: it is missing, or it failed.
    """
    if not shutil.which(_OPENSSL):
        raise NoOpenssl("certificates are made with openssl, which is missing here: install it")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = []
    authority = folder / "ca.crt"
    # With a new authority nothing of the old one is believed.
    is_new = not _is_valid(authority)
    if is_new:
        subject = ["-subj", "/CN=Redrive", *(word for one in AUTHORITY for word in ("-addext", one))]
        out = ["-keyout", str(folder / "ca.key"), "-out", str(authority)]
        _openssl("req", "-x509", *_NEW_KEY, "-days", str(AUTHORITY_DAYS), *subject, *out)
        (folder / "ca.key").chmod(0o600)
        made.append("ca")
    for server, own in SERVERS.items():
        wanted = (*own, "localhost", *(names if server in PUBLIC else ()))
        if is_new or not _is_valid(folder / server / "tls.crt", wanted):
            _of_server(folder, server, wanted)
            made.append(server)
    if made:
        _put(_readable(folder / "trusted") / "ca.crt", authority.read_text())
    return made


def _of_server(folder: Path, server: str, names: tuple[str, ...]) -> None:
    place = _readable(folder / server)
    request, extensions = place / "request", place / "extensions"
    alternatives = ",".join([*(f"DNS:{name}" for name in names), "IP:127.0.0.1"])
    extensions.write_text(f"subjectAltName={alternatives}\n{EXTENSIONS}")
    _openssl("req", *_NEW_KEY, "-subj", f"/CN={names[0]}", "-keyout", str(place / "new.key"), "-out", str(request))
    signed_by = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial"]
    out = ["-days", str(DAYS), "-extfile", str(extensions), "-out", str(place / "new.crt")]
    _openssl("x509", "-req", "-in", str(request), *signed_by, *out)
    for name in ("tls.crt", "tls.key"):
        new = place / name.replace("tls", "new")
        new.chmod(0o644)
        new.rename(place / name)
    _put(place / "ca.crt", (folder / "ca.crt").read_text())
    for path in (request, extensions):
        path.unlink()


def _readable(place: Path) -> Path:
    """The folder above is open to its owner only; the servers' accounts must read what is mounted from here."""
    place.mkdir(exist_ok=True)
    place.chmod(0o755)
    return place


def _put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def _is_valid(certificate: Path, names: tuple[str, ...] = ()) -> bool:
    """Whether it is there, lasts, and is for these names."""
    if not certificate.exists():
        return False
    asked = [_OPENSSL, "x509", "-in", str(certificate), "-noout"]
    if subprocess.run([*asked, "-checkend", str(LEFT)], capture_output=True, check=False).returncode:
        return False
    hosts = (
        subprocess.run([*asked, "-checkhost", name], capture_output=True, check=False, text=True) for name in names
    )
    return all("does match" in host.stdout for host in hosts)


_OPENSSL = shutil.which("openssl") or "openssl"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*words: str) -> None:
    done = subprocess.run([_OPENSSL, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoOpenssl(f"openssl {words[0]} failed: {done.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    try:
        done = make(Path(sys.argv[1]), tuple(sys.argv[2:]))
    except NoOpenssl as error:
        sys.exit(str(error))
    sys.stdout.write(f"certificates made: {', '.join(done) or 'none, all are there'}\n")

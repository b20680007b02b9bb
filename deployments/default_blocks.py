"""The blocks a stack needs to work out of the box, saved to Prefect where people see and change them.

Danger: what a person edited stays; only what Redrive itself wrote last is written over (its hash is kept in REDRIVE_HOME).
"""

from __future__ import annotations

import hashlib
import json
from urllib.parse import parse_qs, unquote, urlsplit

from prefect.blocks.core import Block
from prefect.filesystems import LocalFileSystem
from pydantic import SecretStr

from redrive.blocks.core.errors import SettingsError
from redrive.blocks.core.settings import LOOPBACK, Settings
from redrive.blocks.mail_server import MailServer
from redrive.blocks.retry_policy import RetryPolicyBlock
from redrive.blocks.warehouse import Warehouse


def save_default_blocks(settings: Settings) -> list[str]:
    """Register the block types and save the documents that the built-in job types name; returns `type/name` of each."""
    for kind in (Warehouse, MailServer, RetryPolicyBlock, LocalFileSystem):
        kind.register_type_and_schema()
    written = _Written(settings)
    documents: list[tuple[str, Block]] = [
        ("documents", LocalFileSystem(basepath=str(settings.outputs / "documents"))),
        ("reports", LocalFileSystem(basepath=str(settings.outputs / "reports"))),
        ("default", _warehouse(settings)),
        ("default", mail_server(settings.mail_url(), sender=settings.mail_from)),
    ]
    saved = [written.save(name, block) for name, block in documents]
    written.keep()
    return saved


def _warehouse(settings: Settings) -> Warehouse:
    reading = settings.reading_url()
    return Warehouse(url=SecretStr(settings.synced_url()), reader=SecretStr(reading) if reading is not None else None)


def mail_server(url: str, *, sender: str) -> MailServer:
    """The block for a `smtp://` or `smtps://` URL.

    Encryption: `smtps` is TLS from the start; `smtp` is STARTTLS, except on this machine; `?tls=none|starttls|tls` decides.

    Raises:
        SettingsError: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise SettingsError("REDRIVE_SMTP_URL must look like smtp://user:password@host:587 or smtps://host")
    default = "tls" if parts.scheme == "smtps" else "none" if parts.hostname in LOOPBACK else "starttls"
    tls = parse_qs(parts.query).get("tls", [default])[0]
    if tls not in {"none", "starttls", "tls"}:
        raise SettingsError(f"REDRIVE_SMTP_URL: tls={tls} is unknown; give none, starttls or tls")
    return MailServer(
        host=parts.hostname,
        port=parts.port or {"tls": 465, "starttls": 587}.get(tls, 25),
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=SecretStr(unquote(parts.password)) if parts.password else None,
        sender=sender,
    )


#: Fields that block types gained; left out while empty, or a block that nobody edited since would look edited.
_LATER_FIELDS = frozenset({"reader"})


class _Written:
    """What Redrive itself wrote into block documents last, as hashes, so that a person's edits are told apart and kept."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.home / "blocks.json"
        try:
            self._hashes: dict[str, str] = json.loads(self._file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            self._hashes = {}

    def save(self, name: str, block: Block) -> str:
        slug = f"{block.get_block_type_slug()}/{name}"
        wanted = _hash(block)
        try:
            there = _hash(type(block).load(name))  # type: ignore[arg-type]
        except ValueError:
            there = None
        if there not in {None, wanted, self._hashes.get(slug)}:
            return slug
        if there != wanted:
            block.save(name, overwrite=True)
        self._hashes[slug] = wanted
        return slug

    def keep(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._hashes, indent=1))


def _hash(block: Block) -> str:
    plain = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in ((name, getattr(block, name)) for name in type(block).model_fields)
        if not (name in _LATER_FIELDS and value is None)
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

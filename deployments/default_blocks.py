"""The blocks a stack needs to work out of the box, saved to Prefect where people see and change them.

Danger: what a person edited stays; only what Redrive itself wrote last is written over (its hash is kept in REDRIVE_HOME).
"""

from __future__ import annotations

import hashlib
import json

from prefect.blocks.core import Block
from prefect.filesystems import LocalFileSystem
from pydantic import SecretStr

from redrive.blocks.mail_server import MailServer
from redrive.blocks.retry_block import RetryPolicyBlock
from redrive.blocks.settings import Settings
from redrive.blocks.warehouse import Warehouse


def save_default_blocks(settings: Settings) -> list[str]:
    """Register the block types and save the documents that the built-in job types name; returns `type/name` of each."""
    for kind in (Warehouse, MailServer, RetryPolicyBlock, LocalFileSystem):
        kind.register_type_and_schema()  # type: ignore[unused-coroutine]  # Prefect's stubs see only the async half
    written = _Written(settings)
    documents: list[tuple[str, Block]] = [
        ("documents", LocalFileSystem(basepath=str(settings.outputs / "documents"))),
        ("reports", LocalFileSystem(basepath=str(settings.outputs / "reports"))),
        ("default", Warehouse(url=SecretStr(settings.synced_url()))),
        ("default", MailServer.from_url(settings.mail_url(), sender=settings.mail_from)),
    ]
    saved = [written.save(name, block) for name, block in documents]
    written.keep()
    return saved


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
            block.save(name, overwrite=True)  # type: ignore[unused-coroutine]
        self._hashes[slug] = wanted
        return slug

    def keep(self) -> None:
        self._file.write_text(json.dumps(self._hashes, indent=1))


def _hash(block: Block) -> str:
    plain = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in ((name, getattr(block, name)) for name in type(block).model_fields)
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

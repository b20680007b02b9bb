"""Where jobs put files: Prefect storage blocks, named `documents`, `reports` or `type/name`.

Danger: blocks of other systems differ in whether `write_path` is a coroutine and what it returns; `_done` evens that out.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from pathlib import Path
from typing import Any, cast

from prefect.blocks.core import Block
from prefect.filesystems import LocalFileSystem, WritableFileSystem

from redrive.blocks.access.local_files import open_file
from redrive.blocks.core.errors import PermanentError

#: The block type meant by a bare name.
DEFAULT_TYPE = "local-file-system"


class Store:
    """One storage block."""

    def __init__(self, block: WritableFileSystem, name: str) -> None:
        self._block = block
        self.name = name

    @classmethod
    def load(cls, name: str) -> Store:
        """The storage block of that name.

        Raises:
            PermanentError: there is none, or the block of that name stores no files.
        """
        full = name if "/" in name else f"{DEFAULT_TYPE}/{name}"
        try:
            block = _done(Block.load(full))
        except ValueError as error:
            raise PermanentError(
                f"there is no storage block {full}: make one in Prefect under Blocks, or run `redrive up` for the default ones"
            ) from error
        if not isinstance(block, WritableFileSystem):
            raise PermanentError(
                f"block {full} stores no files: name a storage block, like local-file-system/documents"
            )
        return cls(block, full)

    def read(self, path: str) -> bytes | None:
        """Content of a file; None if it is not there."""
        try:
            if isinstance(self._block, LocalFileSystem):
                return self._place(self._block, path).read_bytes()
            return cast("bytes", _done(self._block.read_path(path)))
        except Exception:  # noqa: BLE001  (no common error says "not there", and a store that is unavailable refuses the write that follows)
            return None

    def write(self, path: str, content: bytes) -> str:
        """Store a file, the whole of it or nothing, and say where it lies."""
        if isinstance(self._block, LocalFileSystem):
            return str(_written(self._place(self._block, path), content))
        where = _done(self._block.write_path(path, content))
        return str(where) if where else self.location(path)

    def location(self, path: str) -> str:
        """Where a path of this store lies, for a person."""
        if isinstance(self._block, LocalFileSystem):
            return str(self._place(self._block, path))
        return f"{self.name}:{path}"

    @staticmethod
    def _place(block: LocalFileSystem, path: str) -> Path:
        return Path(block.basepath or ".").expanduser() / path


def content_of(reference: str) -> tuple[str, bytes]:
    """Name and content of a file given as a path inside the allowed folders, or as `store:path`.

    Raises:
        PermanentError: it is not there, or a path outside of them.
    """
    store_name, separator, path = reference.partition(":")
    if separator and len(store_name) > 1:
        store = Store.load(store_name)
        content = store.read(path)
        if content is None:
            raise PermanentError(
                f"there is no file {path} in {store.name}: check the name, or run the job that makes it first"
            )
        return Path(path).name, content
    with open_file(reference) as file:
        return Path(reference).name, file.read()


def _written(path: Path, content: bytes) -> Path:
    """Put a file in its place at once: who is killed meanwhile leaves the old one, and two writers do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path


def _done(value: Any) -> Any:
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Any) -> Any:
    return await value

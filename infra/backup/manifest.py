"""What a backup holds and when it was made: `manifest.json` in its folder, written last, so that a folder with one is complete."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from redrive.blocks.core.errors import RedriveError

NAME = "manifest.json"
#: Of the layout of the folder.
FORMAT = 1


class BackupError(RedriveError):
    """A backup that cannot be made, or is not whole."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`at`: the moment all databases are of. `postgres`, `pg_dump`: major versions of the server and of the program that read it.
    `files`: SHA-256 by name. `left_out`: what is not in it, with the reason.
    """

    at: datetime
    redrive: str
    prefect: str
    postgres: int
    files: dict[str, str]
    left_out: dict[str, str]
    pg_dump: int | None = None
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises `BackupError`: there is none, or it is of another layout."""
        try:
            found = json.loads((folder / NAME).read_text())
        except FileNotFoundError:
            raise BackupError(f"{folder} is no backup, or one that was cut off: it has no {NAME}") from None
        except (OSError, ValueError) as error:
            raise BackupError(f"{folder / NAME} cannot be read: {error}") from None
        if found.get("format") != FORMAT:
            raise BackupError(f"{folder} is of layout {found.get('format')}, this Redrive reads layout {FORMAT}")
        return cls(**{**found, "at": datetime.fromisoformat(found["at"])})

    def write(self, folder: Path) -> None:
        text = json.dumps({**asdict(self), "at": self.at.isoformat()}, indent=2)
        (folder / NAME).write_text(f"{text}\n")

    def require_whole(self, folder: Path) -> None:
        """Raises `BackupError` for a file that is missing or not as it was written."""
        for name, wanted in self.files.items():
            path = folder / name
            if not path.is_file():
                raise BackupError(f"{path} is missing: this backup is not whole")
            if checksum(path) != wanted:
                raise BackupError(f"{path} is not as it was written: this backup is damaged")


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What the sample job types hand back: counts, and where their outputs lie.

Danger: results are persisted and read again after an upgrade; give every new field a default.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from redrive.blocks.core.counted import counted

#: Names in one line for a person.
NAMED = 10


class Payload(BaseModel):
    """A value a job hands back."""

    model_config = ConfigDict(frozen=True)


class JobResult(Payload):
    """What a finished job says of itself."""

    @property
    def outputs(self) -> list[str]:
        """Where the outputs lie: paths, URIs or names of tables."""
        return []

    def summary(self) -> str:
        """One line for a person."""
        raise NotImplementedError


class Attachment(Payload):
    """A file inside a document, stored beside its text; `name` as the sender wrote it, `path` safe."""

    name: str
    mime: str
    size: int
    path: str
    sha256: str = ""


class DocumentRecord(Payload):
    """One document: text, metadata and checksum, stored under the SHA-256 of its content.

    `text_sha256` is that of `text.txt`; `left_out` says what is missing; `unfinished`: for want of time, so that it is read again the
    next time; `reader` names another reader than the usual one.
    """

    name: str
    source: str
    checksum: str
    size: int
    mime: str
    title: str | None = None
    authors: tuple[str, ...] = ()
    created: datetime | None = None
    pages: int | None = None
    language: str | None = None
    characters: int = 0
    words: int = 0
    empty: bool = False
    empty_because: str | None = None
    left_out: tuple[str, ...] = ()
    unfinished: bool = False
    reader: str | None = None
    text_sha256: str = ""
    attachments: tuple[Attachment, ...] = ()
    extractor: str = ""
    location: str = ""
    stored_before: bool = False


class DocumentsResult(JobResult):
    """Documents read from one folder or file."""

    documents: tuple[DocumentRecord, ...] = ()
    store: str = ""

    @property
    def outputs(self) -> list[str]:
        return [record.location for record in self.documents]

    def summary(self) -> str:
        words = sum(record.words for record in self.documents)
        before = sum(record.stored_before for record in self.documents)
        empty = [record.name for record in self.documents if record.empty]
        cut = [f"{record.name} without {', '.join(record.left_out)}" for record in self.documents if record.left_out]
        detail = f"{counted(len(self.documents), 'document')}, {counted(words, 'word')} in {self.store}"
        if before:
            detail += f" ({before} {'was' if before == 1 else 'were'} there already)"
        if empty:
            detail += f"; no text in {_some(empty)}"
        return f"{detail}; not whole: {_some(cut)}" if cut else detail


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


class SyncResult(JobResult):
    """Rows brought into one table."""

    table: str
    source: str
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    columns_added: tuple[str, ...] = ()
    cursor: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def outputs(self) -> list[str]:
        return [f"table {self.table}"]

    def summary(self) -> str:
        detail = f"{self.table}: {self.inserted:,} inserted, {self.updated:,} updated, {self.unchanged:,} unchanged"
        if self.columns_added:
            detail += f"; new columns {', '.join(self.columns_added)}"
        detail += f"; up to {self.cursor}" if self.cursor else ""
        return "; ".join((detail, *self.warnings))


class ReportResult(JobResult):
    """A report in its formats; `files` by format, `latest` the same under a name that stays, `notes` what was cut."""

    report: str
    title: str
    rows: int = 0
    files: dict[str, str] = Field(default_factory=dict)
    latest: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def outputs(self) -> list[str]:
        return list(self.files.values())

    def summary(self) -> str:
        made = f"{self.title}: {counted(self.rows, 'row')} as {', '.join(self.files).upper()}"
        return " ".join((made, *self.notes))


class MailResult(JobResult):
    """A mail that was handed to the mail server."""

    message_id: str
    message_ids: tuple[str, ...] = ()
    subject: str
    recipients: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()
    server: str = ""

    @property
    def outputs(self) -> list[str]:
        return [f"{message_id} at {self.server}" for message_id in self.message_ids or (self.message_id,)]

    def summary(self) -> str:
        files = f" with {', '.join(self.attachments)}" if self.attachments else ""
        return f"{self.subject!r} to {', '.join(self.recipients)}{files}"

"""Documents: every file of a folder becomes text, metadata and a checksum in the document store.

Danger: a step is remembered by its inputs, so a file is named together with its size and time; otherwise a file that was
replaced between two tries would come back as what it was before.
"""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import version
from pathlib import Path, PurePath

from prefect.logging import get_run_logger

from redrive.blocks.errors import PermanentError
from redrive.blocks.file_access import file_names, is_folder, open_file
from redrive.blocks.payloads import Attachment, DocumentRecord, DocumentsResult, Payload
from redrive.blocks.settings import settings
from redrive.deployments.catalog import job_type
from redrive.flows.document_text.child import ReadingStopped, extracted
from redrive.flows.document_text.formats import format_of
from redrive.flows.job import job, step
from redrive.flows.stores import Store

DOCUMENTS = job_type("documents")

#: Larger than any document of an office, smaller than what would fill memory when it is stored.
SIZE_LIMIT = 200 * 1024 * 1024
#: Long enough to recognise, short enough for every file system together with the number in front.
NAME_LIMIT = 100


class FileRef(Payload):
    """A file as it was when the folder was listed."""

    path: str
    size: int
    modified_ns: int


@job(DOCUMENTS)
def documents(source: str = "samples/inbox", pattern: str = "*", store: str = "documents") -> DocumentsResult:
    """Read every document of a folder, or one file, into the document store.

    Reads PDF, DOCX, XLSX, HTML, EML, CSV and TXT. Files that cannot be read do not keep the others from being stored; they
    are named and the job becomes a dead letter, so that somebody sees them. Redriving it reads only those again.

    Args:
        source: Folder or file inside REDRIVE_HOME or a folder of REDRIVE_FILE_ROOTS; a relative path counts from REDRIVE_HOME.
        pattern: Which files of the folder, like *.pdf; folders inside of it are not entered.
        store: Storage block for the results, `name` of a local file system or `type/name`.
    """
    logger = get_run_logger()
    files = listed(source, pattern)
    records: list[DocumentRecord] = []
    corrupt: list[PermanentError] = []
    stopped: list[ReadingStopped] = []
    for file in files:
        try:
            records.append(read_document(file, store))
        except PermanentError as error:
            corrupt.append(error)
        except ReadingStopped as error:
            stopped.append(error)
    result = DocumentsResult(documents=tuple(records), store=store)
    if not corrupt and not stopped:
        return result
    logger.info("stored all the same: %s", result.summary())
    said = _named(len(files), [*corrupt, *stopped])
    if stopped:
        raise ReadingStopped(said) from stopped[0]
    raise PermanentError(said) from corrupt[0]


@step(DOCUMENTS.policy)
def read_document(file: FileRef, store: str) -> DocumentRecord:
    """Text, metadata and checksum of one file, stored under its checksum."""
    path = Path(file.path)
    checksum = checksum_of(path)
    target = Store.load(store)
    extractor = f"kreuzberg {version('kreuzberg')}"
    known = target.read(f"{checksum}/document.json")
    if known is not None:
        record = DocumentRecord.model_validate_json(known)
        if record.extractor == extractor:
            return record.model_copy(update={"name": path.name, "source": file.path, "stored_before": True})
    mime = format_of(path)
    with extracted(path, mime) as (folder, found):
        attachments = tuple(
            Attachment(
                name=given["name"],
                mime=given["mime"],
                size=given["size"],
                path=target.write(
                    f"{checksum}/attachments/{given['number']:03}-{safe_name(given['name'])}",
                    (folder / f"attachment-{given['number']}").read_bytes(),
                ),
            )
            for given in found.pop("attachments")
        )
        target.write(f"{checksum}/text.txt", (folder / "text.txt").read_bytes())
    record = DocumentRecord(
        name=path.name,
        source=file.path,
        checksum=checksum,
        size=file.size,
        mime=mime,
        attachments=attachments,
        extractor=extractor,
        empty=not found["characters"],
        location=target.location(checksum),
        **found,
    )
    # Written last: whoever finds this file finds all of the document.
    target.write(f"{checksum}/document.json", record.model_dump_json(indent=2).encode())
    return record


def listed(source: str | Path, pattern: str) -> list[FileRef]:
    """The files to read, by name; folders inside and hidden ones are left out, what is no file is refused when it is read.

    Raises:
        PermanentError: nothing there, outside of the allowed folders, not readable, or no file fits the pattern.
    """
    place = settings().place(source)
    try:
        if is_folder(source):
            names = [name for name in file_names(source) if not name.startswith(".") and PurePath(name).match(pattern)]
            paths = [place / name for name in names]
        else:
            paths = [place]
    except ValueError as error:
        raise PermanentError(f"the pattern {pattern!r} cannot work ({error}): give one like *.pdf") from error
    files = [_reference(path) for path in paths if not _is_inner_folder(path)]
    if not files:
        raise PermanentError(f"no file in {place} fits the pattern {pattern!r}: check both")
    return files


def _is_inner_folder(path: Path) -> bool:
    try:
        return is_folder(path)
    except PermanentError:
        # A link that leads outside, to whatever: refused by name when it is to be read.
        return False


def _reference(path: Path) -> FileRef:
    try:
        with open_file(path) as file:
            found = os.fstat(file.fileno())
    except PermanentError:
        if not os.path.lexists(path):
            raise
        found = path.lstat()
    return FileRef(path=str(path), size=found.st_size, modified_ns=found.st_mtime_ns)


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, as hex.

    Raises:
        PermanentError: it is gone, not readable or too large.
    """
    with open_file(path) as file:
        if os.fstat(file.fileno()).st_size > SIZE_LIMIT:
            raise PermanentError(f"{path.name} is larger than {SIZE_LIMIT // 1024**2} MB: take it out of the folder")
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_name(name: str) -> str:
    """A file name made from what a stranger wrote: no folder, no control or odd character, not hidden."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c.isalnum() or c in "-_. ()" else "_" for c in last).strip(". ")
    stem, dot, ending = kept.rpartition(".")
    if not dot:
        return kept[:NAME_LIMIT] or "unnamed"
    return f"{stem[: NAME_LIMIT - 10]}.{ending[:9]}"


def _named(total: int, errors: list[PermanentError | ReadingStopped]) -> str:
    reasons = "; ".join(str(error) for error in errors)
    return f"{len(errors)} of {total} files could not be read, the others are stored: {reasons}"

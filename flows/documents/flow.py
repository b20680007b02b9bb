"""Documents: every file of a folder becomes text, metadata and a checksum in the document store.

Danger: a step is remembered by its inputs, so a file is named together with its size and time; otherwise a file that was
replaced between two tries would come back as what it was before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from prefect.logging import get_run_logger

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.payloads import DocumentRecord, DocumentsResult, Payload
from redrive.deployments.catalog import job_type
from redrive.flows.documents.attached import join_texts
from redrive.flows.documents.content import private_copy
from redrive.flows.documents.formats import Unreadable, by_ending
from redrive.flows.documents.library import Library
from redrive.flows.documents.listed_files import FileRef, listed
from redrive.flows.documents.reading_stopped import ReadingStopped
from redrive.flows.documents.refusals import Refusal, message, publish
from redrive.flows.documents.sandboxes import WALL_LIMIT, Sandboxes
from redrive.flows.engine.job import job, step
from redrive.flows.stores import Store

DOCUMENTS = job_type("documents")

#: Files of one step, and seconds after which it begins no further one: with the last files' own limit (90 s) it ends before
#: its timeout (120 s), and what is killed in the middle has little to do again.
CHUNK, CHUNK_SECONDS = 500, 20.0


class Chunk(Payload):
    """What a step did: it took the first `taken` of its files."""

    taken: int
    records: tuple[DocumentRecord, ...] = ()
    refused: tuple[Refusal, ...] = ()
    stopped: tuple[FileRef, ...] = ()


class FilesLeft(PermanentError):  # noqa: N818  (reads as what happened)
    """Not all files were read. A step that ends so is not remembered, so redriving the job reads these again."""

    chunk: Chunk


@dataclass
class Folder:
    """What became of the files so far."""

    records: list[DocumentRecord] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    cause: Exception | None = None


@job(DOCUMENTS)
def documents(
    source: str = "samples/inbox", pattern: str = "*", store: str = "documents", *, reread: bool = False
) -> DocumentsResult:
    """Read every document of a folder, or one file, into the document store.

    Reads PDF, DOCX, XLSX, HTML, EML, CSV and TXT. Files that cannot be read do not keep the others from being stored; they
    are named in a table and the job becomes a dead letter, so that somebody sees them. Redriving it reads only those again.

    Args:
        source: Folder or file inside REDRIVE_HOME or a folder of REDRIVE_FILE_ROOTS; a relative path counts from REDRIVE_HOME.
        pattern: Which files of the folder, like *.pdf; folders inside of it are not entered.
        store: Storage block for the results, `name` of a local file system or `type/name`.
        reread: Read also what is in the store already, and write it anew.
    """
    files = listed(source, pattern)
    folder, stopped = Folder(), list[FileRef]()
    left = files
    while left:
        chunk = _chunk(left[:CHUNK], store, folder, reread=reread)
        folder.records += chunk.records
        folder.refused += chunk.refused
        stopped += chunk.stopped
        left = left[chunk.taken :]
    last_stop = None
    for file in stopped:
        try:
            folder.records.append(read_again(file, store, reread=reread))
        except PermanentError as error:
            folder.refused.append(_refusal(file, error))
            folder.cause = error
        except ReadingStopped as error:
            folder.refused.append(_refusal(file, error))
            last_stop = error
    result = DocumentsResult(documents=tuple(folder.records), store=store)
    if any(record.left_out for record in folder.records):
        get_run_logger().warning("stored, but not whole: %s", result.summary())
    if not folder.refused:
        return result
    get_run_logger().info("stored all the same: %s", result.summary())
    publish(folder.refused)
    text = message(len(files), folder.refused)
    if last_stop is not None:
        raise ReadingStopped(text) from last_stop
    raise PermanentError(text) from folder.cause


def _chunk(files: list[FileRef], store: str, folder: Folder, *, reread: bool) -> Chunk:
    try:
        return read_documents(files, store, reread=reread)
    except FilesLeft as error:
        folder.cause = error
        return error.chunk


@step(DOCUMENTS.policy)
def read_documents(files: list[FileRef], store: str, *, reread: bool) -> Chunk:
    """Text, metadata and checksum of some files, each stored under its checksum; as many as there is time for.

    Raises:
        FilesLeft: some were refused, or their reading was stopped.
    """
    library = Library(Store.load(store))
    records: list[DocumentRecord] = []
    refused: list[Refusal] = []
    stopped: list[FileRef] = []
    left: list[Refusal] = []
    ended = _read_side_by_side(files, library, reread=reread)
    for file, outcome in ended:
        if isinstance(outcome, DocumentRecord):
            records.append(outcome)
            continue
        left.append(_refusal(file, outcome))
        if isinstance(outcome, ReadingStopped):
            stopped.append(file)
        else:
            refused.append(left[-1])
    chunk = Chunk(taken=len(ended), records=tuple(records), refused=tuple(refused), stopped=tuple(stopped))
    if left:
        raise FilesLeft(message(len(ended), left), chunk=chunk)
    return chunk


@step(DOCUMENTS.policy)
def read_again(file: FileRef, store: str, *, reread: bool) -> DocumentRecord:
    """One file whose reading was stopped, with tries of its own, so that it holds up no other.

    Raises:
        PermanentError: it cannot be read.
        ReadingStopped: it was stopped again.
    """
    with Sandboxes() as sandboxes:
        outcome = _read(file, Library(Store.load(store)), sandboxes, reread=reread)
    if isinstance(outcome, DocumentRecord):
        return outcome
    raise outcome


Outcome = DocumentRecord | PermanentError | ReadingStopped


def _read_side_by_side(files: Sequence[FileRef], library: Library, *, reread: bool) -> list[tuple[FileRef, Outcome]]:
    """The first files, as many as there is time for, each with what became of it."""
    # One more than there are cores, so that none waits while a result is stored.
    at_once = 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    give_up = time.monotonic() + CHUNK_SECONDS
    began: list[tuple[FileRef, Future[Outcome]]] = []
    running: set[Future[Outcome]] = set()
    # When a timeout ends this step, leaving the sandboxes first ends the threads that wait for them.
    with ThreadPoolExecutor(at_once) as threads, Sandboxes() as sandboxes:
        for file in files:
            if len(running) == at_once:
                running = wait(running, return_when=FIRST_COMPLETED).not_done
            if began and time.monotonic() > give_up:
                break
            reading = threads.submit(_read, file, library, sandboxes, reread=reread)
            began.append((file, reading))
            running.add(reading)
        return [(file, reading.result()) for file, reading in began]


def _read(file: FileRef, library: Library, sandboxes: Sandboxes, *, reread: bool) -> Outcome:
    """Read one file and store it; what is wrong with it is returned, not raised, and without its name."""
    try:
        mime = by_ending(file.name)
        with private_copy(file.place) as content:
            known = None if reread else library.known(content.checksum, mime)
            if known is not None:
                return known.model_copy(update={"name": file.name, "source": file.path})
            ends = time.monotonic() + WALL_LIMIT
            with sandboxes.extracted(content.file, mime) as made:
                join_texts(sandboxes, made, ends=ends)
                return library.add(content, mime, made, name=file.name, source=file.path)
    except Unreadable as error:
        return PermanentError(f"{file.name} {error}")
    except ReadingStopped as error:
        return ReadingStopped(f"{file.name} {error}")
    except PermanentError as error:
        return error


def _refusal(file: FileRef, error: Exception) -> Refusal:
    text = str(error)
    for name in (file.path, file.name):
        text = text.removeprefix(f"{name} ")
    return Refusal(name=file.name, source=file.path, reason=text)

"""Where what a job returns will be stored: known before its work begins, so that its end can be noted the moment it returns.

Storing takes milliseconds, and a process that is killed in them has done its work. The note has the result with it where whoever
finds the note can store it: in a folder of this machine, and if it is not large.

Danger: a note brings the job to its end. It is written only for a result that was found to come back as it is.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.context import FlowRunContext
from prefect.filesystems import LocalFileSystem, NullFileSystem
from prefect.results import ResultRecord, ResultStore  # type: ignore[attr-defined]  # public in its documentation

from redrive.blocks.prefect.begun_run import note_returned, prepared_end
from redrive.blocks.prefect.request import Json
from redrive.flows.engine.stored_result import as_bytes, has_prefects

#: Bytes of the largest result that goes into a note.
LARGEST = 64 * 1024


@dataclass(frozen=True)
class ResultPlace:
    """Of one try of a job's body."""

    run_id: UUID
    flow: str
    store: ResultStore
    #: The record to come, without the result; None where its storage cannot be reached.
    record: ResultRecord[Any] | None
    #: What ends the run, but for the result; None where the note has to wait until the result is stored.
    end: Json | None = None

    @classmethod
    def prepare(cls, run_id: UUID, *, may_note: bool) -> ResultPlace | None:
        """Before the work begins; None for a job whose result is not stored.

        Args:
            may_note: whether nothing else is to be done between the job's return and its end.
        """
        context = FlowRunContext.get()
        if context is None or not context.persist_result or context.flow is None:
            return None
        store, name = context.result_store, context.flow.name
        if isinstance(store.metadata_storage, NullFileSystem):
            store = store.model_copy(update={"metadata_storage": _Nowhere()})
        try:
            record = store.create_result_record(None)
        except Exception:  # noqa: BLE001  (a storage may raise anything; Prefect tries again, and tells of it)
            return cls(run_id, name, store, None)
        is_local = isinstance(store.result_storage, LocalFileSystem) and store.result_storage_block_id is None
        return cls(run_id, name, store, record, prepared_end(run_id, record) if may_note and is_local else None)

    def put(self, value: Any) -> Any:
        """Store what the job returned.

        Returns:
            What the engine is to get: the stored record, which it takes as it is, or the value, where storing is left to Prefect.

        Raises:
            PermanentError: it cannot be stored as it is.
        """
        stored = as_bytes(value, self.store.serializer, f"job {self.flow!r}", "@job")
        if stored is None or self.record is None or has_prefects(value):
            return value
        if self.end is not None and len(stored) <= LARGEST:
            with suppress(UnicodeDecodeError):
                note_returned(self.run_id, self.end, path=str(self.record.metadata.storage_key), text=stored.decode())
        record = self.record.model_copy(update={"result": value})
        try:
            self.store.persist_result_record(record)
        except Exception:  # noqa: BLE001  (as above)
            return value
        return record


class _Nowhere:
    """Where metadata of results goes that the server keeps. Prefect's own (3.8.8) cannot be called without an event loop."""

    def write_path(self, *_: Any, **__: Any) -> None:
        pass

"""The run that a child was given as Running already: what its engine need not ask, and what is said with its end.

The engine's first update (version and retry policy of the flow) and the events of its task runs are kept and go with `finish`,
for half a second at most: what lasts longer is told as it happens, so that people see it.

Danger: `finish` is a compare-and-set on that Running state. Whatever it declines goes Prefect's way, after what was kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID, uuid4

from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus, StateAcceptDetails
from prefect.states import to_state_create

from redrive.blocks.prefect.requests.fast import ENDS

#: Seconds that what a job's process has to say may wait for its end.
KEPT = 0.5
Json = dict[str, Any]

#: The present run of this process, if it was given to it as Running.
present: list[Begun] = []


@dataclass
class Begun:
    """One begun run in this process. `send_update` and `send_event` do what Prefect's own code would have done at once."""

    run_id: UUID
    running: State[Any]
    send_update: Callable[[Json], Any]
    send_event: Callable[[Any], Any]
    #: Waits until the events of this process are sent, for a second at most.
    settle: Callable[[], Any]
    #: What the worker is told, so that it can be sent for a process that was killed.
    notify: Callable[[Json], None]
    #: Notes the request that ends the run, for whoever finds this process killed before it was answered, with the result that is yet
    #: to be stored; None once it was answered.
    note_end: Callable[[Json | None, Json | None], None] = lambda *_: None
    #: Of the request that ends it, or makes it wait: the same when it is asked again.
    _move: UUID = field(default_factory=uuid4)
    _update: Json | None = None
    _events: list[Any] = field(default_factory=list)
    #: So many of them are in the request that ends it.
    _asked: int = 0
    _ahead: bool = False
    _stage: Literal["pending", "running", "left"] = "pending"
    _keeps: bool = True
    _lock: threading.RLock = field(default_factory=threading.RLock)
    #: Held while what was kept is sent; a server that is unavailable must not keep the end waiting.
    _sending: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._timer = threading.Timer(KEPT, self.send_kept)
        self._timer.name = "redrive-kept"
        self._timer.daemon = True
        self._timer.start()

    def accept(self, state: State[Any], *, force: bool) -> OrchestrationResult[Any] | None:
        """The answer to the engine's first proposal of Running, which the server gave before."""
        if force or self._stage != "pending" or not state.is_running():
            return None
        self._stage = "running"
        return _accepted(self.running)

    def keep_update(self, run_id: UUID, fields: Json) -> bool:
        """Whether an update of the run is kept."""
        with self._lock:
            if run_id != self.run_id or not self._keeps or self._stage == "left":
                return False
            if not fields.keys() <= {"flow_version", "empirical_policy", "infrastructure_pid"}:
                return False
            self._update = {**(self._update or {}), **fields}
        policy = fields.get("empirical_policy")
        reply = {"empirical_policy": policy.model_dump(mode="json", exclude_unset=True)} if policy else {}
        self.notify({"update": {**fields, **reply}})
        return True

    def keep_event(self, event: Any) -> bool:
        """Whether an event is kept: one of a task run of this run."""
        with self._lock:
            if not self._keeps or not event.event.startswith("prefect.task-run."):
                return False
            if f"prefect.flow-run.{self.run_id}" not in {one.id for one in event.related if one.role == "flow-run"}:
                return False
            self._events.append(event)
        self.notify({"event": event.model_dump(mode="json")})
        return True

    def send_kept(self) -> None:
        """Tell all that was kept, and keep nothing more."""
        with self._sending:
            with self._lock:
                if not self._keeps:
                    return
                self._keeps = False
                update, self._update = self._update, None
                events, self._events = self._events, []
            if update:
                try:
                    self.send_update(update)
                except BaseException:
                    # The end takes it along.
                    with self._lock:
                        self._update, self._events = update, events
                    raise
            for event in events:
                self.send_event(event)
        # Only what arrived is told; this process may be killed meanwhile.
        threading.Thread(target=self._notify_when_sent, name="redrive-told", daemon=True).start()

    def _notify_when_sent(self) -> None:
        self.settle()
        self.notify({"told": True})

    def body(self, state: State[Any], *, force: bool) -> Json | None:
        """What `finish` is asked; None if this is none of its business."""
        if force or self._stage == "left" or state.type.value not in ENDS:
            return None
        self._timer.cancel()
        with self._lock:
            self._asked = len(self._events)
            return self._request(state)

    def prepared(self, state: State[Any]) -> Json | None:
        """What `finish` will be asked if the run comes to that state, as far as it is known while the job runs."""
        return None if self._stage == "left" else self._request(state)

    def _request(self, state: State[Any]) -> Json:
        create = to_state_create(state)
        create.state_details.flow_run_id = self.run_id
        create.state_details.transition_id = self._move
        with self._lock:
            policy = (self._update or {}).get("empirical_policy")
            return {
                "id": str(self.run_id),
                "state_id": str(self.running.id),
                "state": create.model_dump(mode="json", serialize_as_any=True),
                "flow_version": (self._update or {}).get("flow_version"),
                "empirical_policy": policy.model_dump(mode="json", exclude_unset=True) if policy else None,
                "task_events": [event.model_dump(mode="json") for event in self._events],
            }

    def note_returned(self, request: Json, result: Json) -> None:
        """Note that the job returned, before its result is stored; what it kept since the request was prepared goes with the next note.

        Args:
            request: of `prepared`.
            result: the `path` of a file, and the `text` that it is to hold.
        """
        if self._stage == "left":
            return
        self.note_end(request, result)
        with self._lock:
            self._ahead = not self._events

    def note_ahead(self, state: State[Any], *, force: bool) -> None:
        """Note once what `finish` will be asked, before the last events are in: from here on the work is not done again."""
        if not self._ahead and (body := self.body(state, force=force)):
            self._ahead = True
            self.note_end(body, None)

    @contextmanager
    def noted(self, body: Json) -> Iterator[None]:
        """Ask `finish` in here. What it answered, if only that it declines, needs no note any more."""
        self.note_end(body, None)
        yield
        self.note_end(None, None)

    def answered(self, answer: Json) -> OrchestrationResult[Any] | None:
        """The state that the server wrote with all that was kept; None if it declined."""
        if not (state := answer["state"]):
            return None
        with self._lock:
            # On a busy machine some come while the server is asked.
            late = self._events[self._asked :]
            self._keeps, self._update, self._events = False, None, []
        self._stage = "left"
        for event in late:
            self.send_event(event)
        return _accepted(State.model_validate(state))

    def leave(self) -> None:
        """The run goes Prefect's way from here on."""
        self._timer.cancel()
        self.send_kept()
        self._stage = "left"

    def end(self) -> None:
        """Its process is done with it."""
        self._timer.cancel()
        self.send_kept()
        self._stage = "left"


def begun_run(run_id: UUID) -> Begun | None:
    """The present run, if that is it and it was begun for this process."""
    return next((begun for begun in present if begun.run_id == run_id), None)


def _accepted(state: State[Any]) -> OrchestrationResult[Any]:
    return OrchestrationResult(state=state, status=SetStateStatus.ACCEPT, details=StateAcceptDetails())

"""One attempt: a claimed run in a child, from the claim to the end that somebody saw."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from redrive.blocks.process.step_deadline import GRACE
from redrive.infra.worker.due import Due
from redrive.infra.worker.job_process import ChildGone, JobProcess
from redrive.infra.worker.job_template import MEGABYTE, WarmConfiguration
from redrive.infra.worker.log import Log
from redrive.infra.worker.messages import Command, Intent
from redrive.infra.worker.run_api import Json
from redrive.infra.worker.spans import JobSpans

#: Seconds a job gets to leave after it was told to, before its process is killed.
LEAVE = 2.0
#: Seconds a child gets to say that it knows why a SIGTERM is about to come.
WARNED = 0.3
#: Seconds the last words of a child may be on their way after its end.
LAST_LINE = 0.2

_numbers = itertools.count(1)


@dataclass
class Deadline:
    """A step's announcement: when its process is to be killed, by the monotonic clock."""

    step: str
    seconds: float
    tries: int
    at: float
    #: The step's policy, if it has one of its own.
    own: Json | None = None


@dataclass(eq=False)
class WorkerAttempt:
    """A run in a child. `number` is unique in this worker; a run that comes again is another attempt."""

    due: Due
    config: WarmConfiguration
    child: JobProcess
    log: Log
    #: The job type, for Redrive's jobs.
    flow_name: str
    number: int = field(default_factory=lambda: next(_numbers))
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Why it was told to leave, and what to say if its process is killed for something.
    intent: Intent | None = None
    killed_for: str | None = None
    #: The step that was too late, if that is why it was killed.
    too_late: Deadline | None = None
    deadlines: dict[int, Deadline] = field(default_factory=dict)
    #: Tries of steps that failed in this process and were followed by another one; apart, of those with a policy of their own.
    spent: dict[str, int] = field(default_factory=dict)
    spent_apart: dict[str, int] = field(default_factory=dict)
    taken: bool = False
    #: Its spans, if it is traced.
    spans: JobSpans | None = None
    #: What its process keeps, an update of the run and events of its task runs: should it be killed, they are sent for it.
    kept: list[Json] = field(default_factory=list)
    #: The Running state it was begun with; None if its process proposes that itself.
    running: Json | None = None
    #: Whether somebody was told to run its hooks.
    hooked: bool = False
    #: What the child said at the end, if it could.
    done: dict[str, Any] | None = None
    #: Bytes, as far as somebody looked while it ran.
    most_memory: int = 0
    #: Whether it was looked into because it was slow, and whether there is a profile now.
    profiled: bool = False
    has_profile: bool = False

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._finished = asyncio.Event()
        self._warned = asyncio.Event()

    @property
    def run_id(self) -> str:
        return self.due.id

    @property
    def claim(self) -> str:
        """The Pending state that began it, which names it to everybody else."""
        return str(self.due.run["state"]["id"])

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        """Whether its process does nothing more for it."""
        return self._finished.is_set() or self.child.ended.done()

    @property
    def is_unreported(self) -> bool:
        """Whether its process died, or lives and could not say how the job ended."""
        return self.done is None or self.done["conclusion"] == "none"

    async def run(self, command: Command) -> Literal["done", "died", "untouched"]:
        """Have the child do it. `untouched`: it ended before it took the order, so another one can have it."""
        self.child.listen(self._receive)
        try:
            await self.child.send(command)
        except ChildGone:
            return "untouched"
        await self._finished_or_ended(None)
        if not self._finished.is_set():
            # Its last words may still be on the line.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._finished.wait(), LAST_LINE)
        if self.done:
            self.child.runs += 1
            return "done"
        return "died" if self.taken else "untouched"

    async def stop(self, intent: Intent, *, leave: float = LEAVE) -> None:
        """Tell the job to leave, and kill it if it does not."""
        if self.intent:
            return
        self.intent = intent
        try:
            await self.child.send({"kind": "intent", "attempt": self.number, "intent": intent})
            await asyncio.wait_for(self._warned.wait(), WARNED)
        except (ChildGone, TimeoutError):
            # Busy in C, or gone: the signal decides.
            pass
        self.child.terminate()
        await self._finished_or_ended(leave)
        if not self._finished.is_set():
            self.child.kill()

    async def suspend(self, state: Json) -> None:
        """Tell the engine that its run was suspended."""
        await self.child.send({"kind": "suspended", "attempt": self.number, "run_id": self.run_id, "state": state})

    def over_limits(self) -> None:
        """Kill it if a step outlived its deadline, or the run its own, or it has more memory than it may."""
        if self.killed_for:
            return
        now = time.monotonic()
        late = next((one for one in self.deadlines.values() if now > one.at), None)
        if late:
            self.too_late = late
            self._kill_for(
                f"step {late.step!r} ran over its {late.seconds:g} s and did not stop, so its process was killed"
            )
        elif self.config.timeout and now - self._began > self.config.timeout:
            self._kill_for(f"it ran over its hard timeout of {self.config.timeout:g} s, so its process was killed")
        elif limit := self.config.memory_limit:
            used = self.child.memory()
            self.most_memory = max(self.most_memory, used)
            if used > limit * MEGABYTE:
                self._kill_for(
                    f"it had {used // MEGABYTE} MB of memory, {limit} are allowed, so its process was killed"
                )

    async def _finished_or_ended(self, seconds: float | None) -> None:
        """Wait until the child says that the job is done, or ends."""
        waiting: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._finished.wait()), self.child.ended}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        (waiting - {self.child.ended}).pop().cancel()

    def _kill_for(self, why: str) -> None:
        self.killed_for = why
        self.log.warning("job %s: %s", self.run_id, why)
        self.child.kill()

    def _receive(self, message: dict[str, Any]) -> None:
        if message["attempt"] != self.number:
            return
        if message["kind"] == "span":
            if self.spans:
                self.spans.receive(message)
            return
        self._receive_of_job(message)

    def _receive_of_job(self, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "taken":
                self.taken = True
            case "warned":
                self._warned.set()
            case "deadline" if message.get("over"):
                self.deadlines.pop(message["number"], None)
            case "deadline":
                at = message["at"] + message["seconds"] + GRACE
                self.deadlines[message["number"]] = Deadline(
                    step=message["step"],
                    seconds=message["seconds"],
                    tries=message["tries"],
                    at=at,
                    own=message.get("own"),
                )
            case "spent":
                (self.spent_apart if message.get("own") else self.spent)[message["step"]] = message["spent"]
            case "kept" if "told" in message:
                self.kept.clear()
            case "kept":
                self.kept.append(message)
            case "done":
                self.done = message
                self._finished.set()

"""One attempt: a claimed run in a child, from the claim to the end that somebody saw.

Danger: a child that is being killed may have reported the end of its job in its last moment. What became of the run is read
from the API before the worker writes anything about it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from redrive.blocks.prefect.labels import ATTEMPT, HARD_TIMEOUT, TRIES, count
from redrive.blocks.process.step_deadline import GRACE
from redrive.infra.worker.child_process import ChildGone, ChildProcess, ProcessEnd
from redrive.infra.worker.due import Due
from redrive.infra.worker.job_template import MEGABYTE, WarmConfiguration
from redrive.infra.worker.log import Log
from redrive.infra.worker.messages import Command, Intent
from redrive.infra.worker.run_api import Json, RunApi

#: Seconds a job gets to leave after it was told to, before its process is killed.
LEAVE = 2.0
#: Seconds a child gets to say that it knows why a SIGTERM is about to come.
WARNED = 0.3
#: Seconds the last words of a child may be on their way after its end.
LAST_LINE = 0.2

#: States of a run that somebody has.
IN_PROGRESS = ("PENDING", "RUNNING", "CANCELLING")

_numbers = itertools.count(1)


@dataclass
class Deadline:
    """A step's announcement: when its process is to be killed, by the monotonic clock."""

    step: str
    seconds: float
    tries: int
    at: float


@dataclass(eq=False)
class Attempt:
    """A run in a child. `number` is unique in this worker; a run that comes again is another attempt."""

    due: Due
    config: WarmConfiguration
    child: ChildProcess
    log: Log
    #: The job type, for Redrive's jobs.
    flow_name: str
    number: int = field(default_factory=lambda: next(_numbers))
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Why it was told to leave, and what to say if its process is killed for something.
    intent: Intent | None = None
    killed_for: str | None = None
    spent_tries: int | None = None
    deadlines: dict[int, Deadline] = field(default_factory=dict)
    #: Tries of steps that failed in this process and were followed by another one.
    spent: dict[str, int] = field(default_factory=dict)
    taken: bool = False
    #: What its process keeps, an update of the run and events of its task runs: should it be killed, they are sent for it.
    kept: list[Json] = field(default_factory=list)
    #: The Running state it was begun with; None if its process proposes that itself.
    running: Json | None = None
    #: Whether somebody was told to run its hooks.
    hooked: bool = False
    #: What the child said at the end, if it could.
    done: dict[str, Any] | None = None

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
    def is_unreported(self) -> bool:
        """Whether its process died, or lives and could not say how the job ended."""
        return self.done is None or self.done["conclusion"] == "none"

    async def run(self, command: Command) -> Literal["done", "died", "untouched"]:
        """Have the child do it. `untouched`: it ended before it took the order, so another one can have it."""
        self.child.hear(self._hear)
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
            self.spent_tries = late.tries
            self._kill_for(
                f"step {late.step!r} ran over its {late.seconds:g} s and did not stop, so its process was killed"
            )
        elif self.config.timeout and now - self._began > self.config.timeout:
            self._kill_for(f"it ran over its hard timeout of {self.config.timeout:g} s, so its process was killed")
        elif self.config.memory_limit and (used := self.child.memory()) > self.config.memory_limit * MEGABYTE:
            limit = self.config.memory_limit
            self._kill_for(f"it had {used // MEGABYTE} MB of memory, {limit} are allowed, so its process was killed")

    async def _finished_or_ended(self, seconds: float | None) -> None:
        """Wait until the child says that the job is done, or ends."""
        waiting: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._finished.wait()), self.child.ended}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        (waiting - {self.child.ended}).pop().cancel()

    def _kill_for(self, why: str) -> None:
        self.killed_for = why
        self.log.warning("job %s: %s", self.run_id, why)
        self.child.kill()

    def _hear(self, message: dict[str, Any]) -> None:
        if message["attempt"] != self.number:
            return
        match message["kind"]:
            case "taken":
                self.taken = True
            case "warned":
                self._warned.set()
            case "deadline" if message.get("over"):
                self.deadlines.pop(message["number"], None)
            case "deadline":
                at = message["at"] + message["seconds"] + GRACE
                step = Deadline(step=message["step"], seconds=message["seconds"], tries=message["tries"], at=at)
                self.deadlines[message["number"]] = step
            case "spent":
                self.spent[message["step"]] = message["spent"]
            case "kept" if "told" in message:
                self.kept.clear()
            case "kept":
                self.kept.append(message)
            case "done":
                self.done = message
                self._finished.set()


#: Runs the hooks of an attempt's run for a state, given as the API has it.
Hooks = Callable[[Json], Awaitable[None]]


async def conclude(api: RunApi, attempt: Attempt, ending: ProcessEnd | None, worker: str, hooks: Hooks) -> None:
    """Bring a run that its process could not bring to an end to where it belongs.

    Args:
        ending: how the process ended; None if it lives and only the job did not get to its end.
        hooks: called before Cancelled and after Crashed, as Prefect's own worker runs them.

    Raises:
        httpx.HTTPError: the API is away.
    """
    detail = attempt.done["conclusion"] if attempt.done else "none"
    if detail == "reported":
        return
    run = await api.read(attempt.run_id)
    kind = run["state_type"] if run else None
    if run is None or kind not in IN_PROGRESS:
        return
    if detail == "aborted" and kind != "CANCELLING":
        # It gave way to another attempt, say. Only a cancellation that it gave way to is ours to finish.
        return
    if run["labels"].get(ATTEMPT) != attempt.claim and await api.latest_claim(run["id"]) != attempt.claim:
        attempt.log.warning("job %s is another attempt's by now: nothing is reported of this one", attempt.run_id)
        return
    if kind == "CANCELLING" or attempt.intent == "cancel":
        await hooks({"type": "CANCELLING", "name": "Cancelling", "message": "Flow run was cancelled."})
        cancelled: Json = {"type": "CANCELLED", "name": "Cancelled", "message": "cancelled by an operator"}
        await api.transition(run["id"], cancelled, only_from=IN_PROGRESS, force=True)
        return
    if labels := _tries(run, attempt):
        await api.label(run["id"], labels)
    if attempt.intent == "reschedule":
        await hand_back(api, run["id"], f"worker {worker} stopped before the job was done; it starts again")
        return
    why = (
        attempt.killed_for
        or attempt.child.cut_off
        or str(ending or f"its process exited with status code: {attempt.done['status'] if attempt.done else 1}")
    )
    crashed: Json = {"type": "CRASHED", "name": "Crashed", "message": f"worker {worker}: {why}"}
    answer = await api.transition(run["id"], crashed, only_from=("PENDING", "RUNNING"))
    if answer and answer["status"] == "ACCEPT":
        await hooks(answer["state"])


def _tries(run: Json, attempt: Attempt) -> Json:
    """The labels that keep what this attempt spent: its process cannot write them any more."""
    if attempt.killed_for and attempt.spent_tries is not None:
        return {HARD_TIMEOUT: attempt.spent_tries}
    spent = max(attempt.spent.values(), default=0)
    return {TRIES: spent} if spent > count(run["labels"].get(TRIES)) else {}


async def release(api: RunApi, run: Json, message: str) -> None:
    """Make a claimed run that never began wait for any worker again, if it still is as it was when it was claimed."""
    now = await api.read(run["id"])
    if now is not None and now["state"]["id"] == run["state"]["id"]:
        await hand_back(api, run["id"], message)


async def hand_back(api: RunApi, run_id: str, message: str) -> None:
    """Make a run wait for any worker, now: nothing failed and nothing crashed."""
    await api.forget_process(run_id)
    await api.wait_again(run_id, message, only_from=("PENDING", "RUNNING"))

"""A child: a process that runs jobs one after another, each as Prefect's own engine process would, with a warm interpreter.

Danger: a job is somebody else's code in our process. What it leaves behind is looked for after each one (`leaked_state.py`), and
a child that is not as it was ends. Module globals are not isolated between the jobs of one child; `isolation: run` is for
jobs that need that.
"""

from __future__ import annotations

import contextvars
import functools
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, NoReturn
from uuid import UUID

from redrive.blocks.process import attempt_notes, failed_tries, step_deadline, step_times
from redrive.blocks.process.end_notes import OwnEnds
from redrive.blocks.process.memory_profile import MemoryProfile
from redrive.blocks.tracing import job_process, operations
from redrive.blocks.tracing.log_lines import marked
from redrive.infra.worker.child.code import Code
from redrive.infra.worker.child.event_loop import EventLoop
from redrive.infra.worker.child.flow import run_flow, run_hooks
from redrive.infra.worker.child.leaked_state import LeakedState
from redrive.infra.worker.child.surroundings import surroundings
from redrive.infra.worker.linux import adopt_orphans, forget_peak, memory_of, peak_memory, set_name
from redrive.infra.worker.messages import Channel, Command, Done

#: Spans of one attempt that are handed over; what goes on for ever must not keep the worker busy.
SPANS = 2_000
#: Seconds between two polls of an idle child at its own code on disk.
POLL = 2.0


class Child:
    """One child and its line to the worker."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._pid = os.getpid()
        self._attempt = 0
        self._spans = 0
        self._code = Code({})
        self._loop = EventLoop()
        self._ends = OwnEnds.here()
        self._memory = MemoryProfile(os.environ.get("REDRIVE_HOME"))

    def serve(self) -> NoReturn:
        """Run jobs until told to end, or until the worker is gone and the present job is done."""
        from redrive.blocks.prefect.private import engine, sending

        adopt_orphans()
        set_name("warm-idle")
        _own_randomness()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        engine.install()
        # What the template loaded is the worker's to watch; what this process loads itself is its own.
        self._code = Code.loaded(time.time_ns())
        job_process.send_spans_to(self._send_span)
        operations.listen(self._send_duration)
        failed_tries.listen(self._send_failed_try)
        self._memory.take_requests()
        threading.Thread(target=self._listen, name="redrive-line", daemon=True).start()
        with engine.WarmClientContext():
            answer = self._notify({"kind": "hello", "pid": os.getpid()})
            while answer and (command := self._next()):
                since = time.time_ns()
                done = self._run(command)
                self._code = self._code.with_new(since)
                answer = self._notify(done) and not done["left"]
        sending.flush()
        if self._ends is not None:
            self._ends.end()
        os._exit(0)

    def _notify(self, message: Any) -> bool:
        """Whether the worker is there to hear it."""
        try:
            self._channel.send(message)
        except OSError:
            return False
        return True

    def _next(self) -> Command | None:
        while True:
            try:
                return self._commands.get(timeout=POLL)
            except queue.Empty:
                if self._code.changed():
                    return None

    def _listen(self) -> None:
        """Take messages while the main thread works: orders wait, what concerns the present job acts at once."""
        from redrive.blocks.prefect.private import engine

        while message := self._channel.receive():
            match message["kind"]:
                case "run" | "hooks":
                    self._channel.send({"kind": "taken", "attempt": message["attempt"]})
                    self._commands.put(message)  # type: ignore[arg-type]  # the kind says it
                case "intent" if message["attempt"] == self._attempt:
                    engine.set_intent(message["intent"])
                    self._channel.send({"kind": "warned", "attempt": message["attempt"]})
                case "suspended" if message["attempt"] == self._attempt:
                    from prefect.client.schemas.objects import State

                    engine.suspend(UUID(message["run_id"]), State.model_validate(message["state"]))
                case "end":
                    break
        self._commands.put(None)

    def _run(self, command: Command) -> Done:
        from prefect.client.schemas.objects import FlowRun

        from redrive.blocks.prefect.private import engine, sending

        flow_run = FlowRun.model_validate(command["flow_run"])
        self._attempt, self._spans = command["attempt"], 0
        set_name(f"job {flow_run.id}")
        step_deadline.listen(
            lambda deadline: self._channel.send({"kind": "deadline", "attempt": command["attempt"], **deadline})
        )
        attempt_notes.begin(
            str(flow_run.state.id) if flow_run.state else None,
            lambda spent: self._channel.send({"kind": "spent", "attempt": command["attempt"], **spent}),
        )
        engine.begin(
            flow_run.id,
            str(os.getpid()),
            command["running"],
            lambda kept: self._channel.send({"kind": "kept", "attempt": command["attempt"], **kept}),
            functools.partial(self._note_end, str(flow_run.id)),
        )
        with surroundings(command) as settings_changed:
            # With settings of its own its log may belong elsewhere.
            sending.send_logs_by(None if settings_changed else self._log)
            before = LeakedState.snapshot()
            forget_peak()
            step_times.begin()
            try:
                work = run_flow if command["state"] is None else run_hooks
                status = contextvars.copy_context().run(work, flow_run, command, before, self._loop)
                left = before.compare()
            finally:
                before.restore()
        self._memory.end()
        engine.end()
        concluded = engine.conclude()
        self._attempt = 0
        job_process.mark_log(None)
        set_name("warm-idle")
        if left is None and (command["only_once"] or settings_changed):
            left = "it was for one job only"
        return {
            "kind": "done",
            "attempt": command["attempt"],
            "status": status,
            "conclusion": concluded,
            "left": left,
            "memory": memory_of(os.getpid()),
            "peak": peak_memory(),
            "steps": step_times.end(),
        }

    def _note_end(self, run_id: str, request: dict[str, Any] | None, result: dict[str, Any] | None) -> None:
        if self._ends is None:
            return
        if request is None:
            self._ends.forget()
        else:
            self._ends.note(run_id, request, result)

    def _send_span(self, span: dict[str, Any], *, ended: bool) -> None:
        """Hand a span to the worker, which sends those of all its jobs."""
        if os.getpid() != self._pid or not self._attempt:
            # A fork of the job's own, or something between two jobs.
            return
        self._spans += ended
        if self._spans <= SPANS or not ended:
            self._notify({"kind": "span", "attempt": self._attempt, "span": span, "ended": ended})
        elif self._spans % SPANS == 0:
            self._notify({"kind": "span", "attempt": self._attempt, "dropped": SPANS})

    def _send_duration(self, *operation: Any) -> None:
        """Hand over how long an operation took; the worker sends it."""
        if os.getpid() == self._pid and self._attempt:
            self._notify({"kind": "span", "attempt": self._attempt, "took": operation})

    def _send_failed_try(self, event: dict[str, Any]) -> None:
        """Hand over what Sentry is to be told of a failed try."""
        if os.getpid() == self._pid and self._attempt:
            self._notify({"kind": "span", "attempt": self._attempt, "failed": event})

    def _log(self, line: dict[str, Any]) -> None:
        """Hand a log line to the worker, which sends those of all its jobs: killed, this process would take them along."""
        if self._attempt and os.getpid() == self._pid and (shown := job_process.shown_line(line)):
            self._notify({"kind": "span", "attempt": self._attempt, "line": shown})
        line["message"] = marked(line["message"], job_process.trace_of_log())
        if os.getpid() != self._pid or not self._notify({"kind": "log", "line": line}):
            from redrive.blocks.prefect.private import sending

            sending.send_log(line)


def _own_randomness() -> None:
    """Python draws anew after a fork, numpy does not: all children would draw the same numbers."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()

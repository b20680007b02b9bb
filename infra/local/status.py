"""What of the stack runs and works, asked anew each time. Never a secret."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import psutil
import redis
from pydantic import BaseModel

from redrive.blocks.core.settings import Settings
from redrive.blocks.process.worker_report import WorkerReport, WorkerReports
from redrive.infra.local.component import Component
from redrive.infra.local.components.all import components
from redrive.infra.local.record import Record
from redrive.infra.local.supervisor import UP, Running, Supervisor, SupervisorUnresponsive


class State(StrEnum):
    """How a component is."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPED = "stopped"
    FAILED = "failed"
    EXTERNAL = "external"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class ComponentStatus(BaseModel):
    """One component. `healthy` was asked of the program itself just now."""

    name: str
    state: State
    healthy: bool
    pid: int | None = None
    since: datetime | None = None
    restarts: int = 0
    log: Path | None = None
    #: Why it is not healthy and what to do, where more is known than that it does not answer.
    problem: str = ""


class StackStatus(BaseModel):
    """The whole stack."""

    home: Path
    stack: str
    healthy: bool
    supervisor_pid: int | None
    #: What keeps this from being the whole truth; mostly empty.
    problem: str = ""
    components: list[ComponentStatus]
    urls: dict[str, str]
    ports: dict[str, int]
    #: Warm workers with their slots, as they last said; those elsewhere that share the Redis too.
    workers: list[WorkerReport]


def status(settings: Settings) -> StackStatus:
    """Ask supervisord what runs, and each component whether it works."""
    running: dict[str, Running] = {}
    pid, problem, supervisor = None, "", None
    try:
        if supervisor := Supervisor.ask(settings):
            with supervisor:
                running, pid = supervisor.all(), supervisor.pid
    except SupervisorUnresponsive as error:
        problem = str(error)
    record = Record.find(settings)
    external = record.external if record and not supervisor else []
    parts = components(settings)

    def ask(part: Component) -> ComponentStatus:
        unavailable = part.is_external or part.name in external
        return _component(part, running.get(part.name), external=unavailable, known=not problem)

    # Side by side: each that hangs takes its seconds.
    with ThreadPoolExecutor(len(parts)) as pool:
        found = list(pool.map(ask, parts))
    return StackStatus(
        home=settings.home,
        stack=settings.stack_id,
        healthy=not problem and all(one.healthy for one in found),
        problem=problem,
        supervisor_pid=pid,
        components=found,
        urls=_urls(settings),
        ports={part.name: part.port for part in parts if part.port and not part.is_external},
        workers=_workers(settings),
    )


def _workers(settings: Settings) -> list[WorkerReport]:
    reports = WorkerReports(settings.valkey_url())
    try:
        return reports.all()
    except redis.RedisError:
        # Valkey is unavailable, which its own line says.
        return []
    finally:
        reports.close()


def _component(part: Component, running: Running | None, *, external: bool, known: bool) -> ComponentStatus:
    if external:
        return ComponentStatus(name=part.name, state=State.EXTERNAL, healthy=part.healthy())
    if not known:
        healthy = part.healthy()
        return ComponentStatus(name=part.name, state=State.RUNNING if healthy else State.UNKNOWN, healthy=healthy)
    alive = running is not None and running.state in UP
    # Only what runs is asked: something else may answer in a stopped component's place.
    watched = [running.pid, part.working_pid] if running and alive else []
    frozen = [pid for pid in watched if pid and _is_frozen(pid)]
    asked = running is not None and alive and not frozen and part.has_begun(running.since)
    healthy, complaint = part.examine() if asked else (False, "")
    return ComponentStatus(
        name=part.name,
        state=_state(part, running, healthy=healthy, frozen=bool(frozen)),
        healthy=healthy,
        pid=(part.working_pid or running.pid) if running and alive else None,
        since=datetime.fromtimestamp(running.since, UTC) if running and alive else None,
        restarts=max(0, part.starts - 1),
        log=part.log if part.log.exists() else None,
        problem=_stopped(frozen[0]) if frozen else complaint,
    )


def _stopped(pid: int) -> str:
    return f"its process is stopped (SIGSTOP, or a debugger): `kill -CONT {pid}` lets it go on"


def _is_frozen(pid: int) -> bool:
    """Whether somebody stopped a process (SIGSTOP, a debugger): its last sign of life may look fresh for a while."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False  # gone meanwhile, or hidden from us: its own answer decides


def _state(part: Component, running: Running | None, *, healthy: bool, frozen: bool) -> State:
    if healthy:
        return State.RUNNING
    if running is None or running.state in {"STOPPED", "STOPPING", "UNKNOWN"}:
        return State.STOPPED
    if running.state in {"BACKOFF", "EXITED", "FATAL"}:
        return State.FAILED
    if frozen:
        return State.UNHEALTHY
    return State.STARTING if time.time() - running.since < part.start_timeout else State.UNHEALTHY


def _urls(settings: Settings) -> dict[str, str]:
    return {
        "ui": _without_password(settings.ui_url),
        "api": _without_password(settings.api_url),
        "console": f"http://{settings.host}:{settings.console_port}",
        "metrics": f"http://{settings.host}:{settings.metrics_port}/metrics",
    }


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"

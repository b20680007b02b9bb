"""Flows of a plain Prefect project, for tests of the workers: nothing but Prefect is imported, and nothing of the tests.

`plain_prefect.py` copies this file into the project it deploys from.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, runtime, suspend_flow_run, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events.worker import EventsWorker

VERSION = "old"
#: A process that stays.
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def note(folder: str, name: str, value: Any = "") -> None:
    """Append one line of JSON to a file of the test."""
    with (Path(folder) / name).open("a") as file:
        file.write(json.dumps({"pid": os.getpid(), "at": time.time(), "value": value}) + "\n")


def is_enough(folder: str) -> bool:
    """Whether the test has left the file that ends jobs which would take longer."""
    return Path(folder, "enough").exists()


# Records


@task
def double(number: int) -> int:
    get_run_logger().info("doubling %s", number)
    print(f"printed in a task: {number}")
    return 2 * number


@task
async def adouble(number: int) -> int:
    await asyncio.sleep(0)
    get_run_logger().warning("doubling %s in a coroutine", number)
    return 2 * number


@flow(log_prints=True, persist_result=True, result_serializer="json")
def plain(number: int = 2) -> int:
    get_run_logger().info("the flow begins")
    print("printed in the flow")
    return double(number)


@flow(log_prints=True, persist_result=True, result_serializer="json")
async def coroutine(number: int = 2) -> int:
    get_run_logger().info("the flow begins")
    return await adouble(number)


@flow(persist_result=True, result_serializer="json")
def below(number: int) -> int:
    return double(number) + 1


@flow(persist_result=True, result_serializer="json")
def above() -> list[int]:
    return [below(1), below(2)]


@flow(persist_result=True, result_serializer="json")
def mapped(count: int = 4) -> list[int]:
    return double.map(list(range(count))).result()


@flow(persist_result=True, result_serializer="json")
async def amapped(count: int = 4) -> list[int]:
    return list(await asyncio.gather(*(adouble(number) for number in range(count))))


@task
def produce(number: int) -> int:
    return number


@flow(persist_result=True, result_serializer="json")
def generated(count: int = 3) -> Generator[int, None, int]:
    for number in range(count):
        yield produce(number)
    return count


@flow(persist_result=True, result_serializer="json")
def large(letters: int = 300_000) -> str:
    return "x" * letters


@flow(retries=1, retry_delay_seconds=0)
def retried() -> None:
    if runtime.flow_run.run_count < 2:
        raise RuntimeError("the first run fails")


@task
def die() -> None:
    # Its states have left this process, or its worker has them.
    while any(worker._queue.unfinished_tasks for worker in tuple(EventsWorker._instances.values())):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


@flow
def dying() -> None:
    double(1)
    die()


@flow
def suspended() -> None:
    double(1)
    suspend_flow_run(timeout=3600)


@flow
def artifacts() -> None:
    create_markdown_artifact(key="words", markdown="# words")
    create_table_artifact(key="numbers", table=[{"one": 1, "two": 2}])


@task(retries=1, retry_delay_seconds=0)
def broken() -> None:
    raise ValueError("the task is broken")


@flow
def failing_task() -> None:
    broken()


@flow
def failing_flow() -> None:
    get_run_logger().error("it will not end well")
    raise RuntimeError("the flow is broken")


@flow
def typed(number: int) -> int:
    return number


@task(task_run_name="double-of-{number}")
def named(number: int) -> int:
    return 2 * number


@flow(flow_run_name="run-of-{number}")
def templates(number: int = 3) -> int:
    return named(number)


@flow(persist_result=True, result_serializer="json")
def values(folder: str = "") -> dict[str, Any]:
    """What `prefect.runtime` says."""
    return {
        "flow": runtime.flow_run.flow_name,
        "parameters": sorted(runtime.flow_run.parameters),
        "tags": sorted(runtime.flow_run.tags),
        "attempt": runtime.flow_run.run_count,
        "has_name": bool(runtime.flow_run.name),
        "has_id": bool(runtime.flow_run.id),
        "has_deployment": bool(runtime.deployment.name and runtime.deployment.id),
        "deployment_parameters": sorted(runtime.deployment.parameters),
        "parent": runtime.flow_run.parent_flow_run_id,
        "scheduled": runtime.flow_run.scheduled_start_time is not None,
        "task": runtime.task_run.id,
        "environment": sorted(name for name in os.environ if name.startswith("PREFECT__")),
    }


def _hook(kind: str) -> Any:
    def hook(flow: Any, flow_run: Any, state: Any) -> None:
        note(flow_run.parameters["folder"], kind, [flow.name, state.type.value])

    hook.__name__ = kind
    return hook


_HOOKS: dict[str, Any] = {
    f"on_{kind}": [_hook(f"on_{kind}")] for kind in ("running", "completion", "failure", "cancellation", "crashed")
}


@flow(**_HOOKS)
def hooked(folder: str, do: str = "") -> None:
    match do:
        case "fail":
            raise RuntimeError("as told")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "system-exit":
            raise SystemExit(4)
        case "wait" | "stubborn":
            if do == "stubborn":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            note(folder, "waiting")
            time.sleep(600)


# Isolation

_kept: list[Any] = []


@flow
def see(folder: str) -> None:
    """What a job finds."""
    note(
        folder,
        "seen",
        {
            "folder": sorted(entry.name for entry in Path.cwd().iterdir()),
            "cwd": str(Path.cwd()),
            "environment": {k: v for k, v in os.environ.items() if not k.startswith("PREFECT__FLOW")},
            "streams": [_target(number) for number in range(3)],
            "threads": sorted({thread.name for thread in threading.enumerate()}),
            "children": "".join(thread.read_text() for thread in Path("/proc/self/task").glob("*/children")),
            "umask": _umask(),
            "handlers": {str(number): str(signal.getsignal(number)) for number in _signals()},
            "files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "kept": len(_kept),
        },
    )


def _target(number: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink())
    except OSError:
        return "closed"


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _signals() -> list[signal.Signals]:
    # SIGTERM is Prefect's while a flow runs.
    return sorted(set(signal.Signals) - {signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP})


@flow
def nasty(folder: str, do: str) -> None:
    """Do one thing that the next job must not notice."""
    note(folder, "nasty")
    _NASTY[do](folder)


def _leak(folder: str) -> None:
    _kept.append(bytearray(os.urandom(1024) * 1024 * 200))


def _children(folder: str) -> None:
    for _ in range(2):
        note(folder, "left", subprocess.Popen(SLEEP).pid)


def _sessions(folder: str) -> None:
    for _ in range(2):
        note(folder, "left", subprocess.Popen(SLEEP, start_new_session=True).pid)


def _daemon(folder: str) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note(folder, "left", os.getpid())
            time.sleep(600)
        os._exit(0)
    os.wait()
    while not Path(folder, "left").exists():
        time.sleep(0.02)


def _ignore_signals(folder: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def _close_stdout(folder: str) -> None:
    sys.stdout.close()
    with contextlib.suppress(OSError):
        os.close(1)


def _replace_stderr(folder: str) -> None:
    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)


def _leave_thread(folder: str) -> None:
    threading.Thread(target=time.sleep, args=(600,), name="left-over").start()


def _change_environment(folder: str) -> None:
    os.environ["LEFT_OVER"] = "1"
    os.environ.pop("HOME", None)


_NASTY: dict[str, Callable[[str], Any]] = {
    "leak": _leak,
    "children": _children,
    "sessions": _sessions,
    "daemon": _daemon,
    "sigterm": _ignore_signals,
    "stdout": _close_stdout,
    "descriptors": _replace_stderr,
    "_exit": lambda _: os._exit(0),
    "system-exit": lambda _: sys.exit(7),
    "thread": _leave_thread,
    "folder": lambda _: os.chdir("/"),
    "environment": _change_environment,
    "umask": lambda _: os.umask(0),
    # The line to the worker among them.
    "line": lambda _: os.closerange(3, 1024),
}


# Limits


@flow
def stuck(folder: str, how: str = "sleep", seconds: int = 600) -> None:
    """In C, holding the interpreter's lock and deaf to signals."""
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    note(folder, "stuck")
    if is_enough(folder):
        return
    match how:
        case "lock":
            ctypes.PyDLL(None).sleep(seconds)
        case "children":
            for _ in range(2):
                note(folder, "left", subprocess.Popen(SLEEP, start_new_session=True).pid)
            time.sleep(seconds)
        case _:
            time.sleep(seconds)


@flow
def greedy(folder: str, megabytes: int = 2000) -> None:
    note(folder, "greedy")
    for _ in range(megabytes // 10):
        _kept.append(os.urandom(10 * 1024 * 1024))
        time.sleep(0.05)
    time.sleep(600)


@flow
def cornered(folder: str, group: str) -> None:
    """Puts itself under the memory limit of a control group, and asks for more."""
    note(folder, "cornered")
    Path(group, "cgroup.procs").write_text(str(os.getpid()))
    kept = [bytearray(os.urandom(1024)) * 1024 for _ in range(2000)]
    note(folder, "lived", len(kept))


# Order and draining


@flow
def patient(folder: str) -> None:
    """Many small steps, until there is a file that says it is enough."""
    note(folder, "patient")
    for number in range(600):
        if is_enough(folder):
            return
        double(number)
        time.sleep(0.1)


@flow
def loaded(folder: str) -> None:
    """Notes what its process has loaded."""
    note(folder, "loaded", sorted(sys.modules))


@flow
def quick(folder: str, name: str = "quick", seconds: float = 0) -> None:
    """Takes its seconds, or until there is a file that says it is enough."""
    note(folder, name, VERSION)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not is_enough(folder):
        time.sleep(0.05)
    note(folder, f"{name}-done", VERSION)


@flow
async def aquick(folder: str, seconds: float = 0) -> None:
    note(folder, "aquick", VERSION)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not is_enough(folder):  # noqa: ASYNC110  (a file sends no event)
        await asyncio.sleep(0.05)
    note(folder, "aquick-done", VERSION)

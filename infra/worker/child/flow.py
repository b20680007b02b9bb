"""Running the flow of an order in a child, or its hooks: what `python -m prefect.engine` and Prefect's own worker do."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from redrive.infra.worker.child.event_loop import EventLoop
from redrive.infra.worker.child.leaked_state import LeakedState
from redrive.infra.worker.messages import Command


def run_flow(flow_run: Any, command: Command, before: LeakedState, loop: EventLoop) -> int:
    """What `python -m prefect.engine` does; returns what its exit code would be."""
    from prefect.exceptions import Abort, Pause, TerminationSignal
    from prefect.logging.loggers import flow_run_logger

    from redrive.blocks.prefect.private import engine

    logger = flow_run_logger(flow_run)
    logger.getChild("worker").info(
        "Worker %r runs this in process %s", os.environ.get("PREFECT__WORKER_NAME"), os.getpid()
    )
    try:
        flow = _load(flow_run, command["entrypoint"])
    except Exception:
        logger.exception("Unexpected exception encountered when trying to load flow")
        return 1
    # Where the deployment's own pull steps put the job is no trace of the job.
    before.accept_folder()
    try:
        engine.run_to_its_end(flow, flow_run, logger, loop.run)
    except (Abort, Pause, TerminationSignal):
        # The engine said what became of the run, or the worker will.
        return 0
    except BaseException as error:  # noqa: BLE001  (as above: SystemExit and its like end the job, not the child)
        return 0 if engine.conclude() != "none" else _exit_code(error)
    return 0


def run_hooks(flow_run: Any, command: Command, before: LeakedState, loop: EventLoop) -> int:
    """What Prefect's own worker does in place of a process that was killed."""
    from prefect.client.schemas.objects import State

    from redrive.blocks.prefect.private import engine

    async def load(run: Any) -> Any:
        flow = await asyncio.to_thread(_load, run, command["entrypoint"])
        before.accept_folder()
        return flow

    try:
        loop.run(engine.run_hooks(load, flow_run, State.model_validate(command["state"])))
    except BaseException as error:  # noqa: BLE001  (hooks are a job's code too: what they raise ends them, not the child)
        return _exit_code(error)
    return 0


def _load(flow_run: Any, entrypoint: str | None) -> Any:
    from prefect.flows import load_flow_from_entrypoint, load_flow_from_flow_run
    from prefect.utilities.asyncutils import run_coro_as_sync

    if entrypoint:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    return run_coro_as_sync(load_flow_from_flow_run(flow_run, use_placeholder_flow=False))


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 1

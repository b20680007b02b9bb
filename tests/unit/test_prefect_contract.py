"""What we rely on in Prefect without a promise of its keepers. When an upgrade breaks one of these, the message says what hangs on it."""

from __future__ import annotations

import inspect

from prefect import Task
from prefect.cache_policies import DEFAULT
from prefect.context import TaskRunContext
from prefect.exceptions import Pause
from prefect.task_engine import SyncTaskRunEngine
from prefect.utilities.engine import propose_state_sync
from prefect.workers import base, process

from redrive.deployments.run_labels import WORKER
from redrive.flows.keeper.processes import RUN_ID


def test_a_state_can_be_proposed_for_a_run() -> None:
    names = inspect.signature(propose_state_sync).parameters

    assert {"client", "state", "flow_run_id"} <= names.keys(), "flows/prefect_private.py: propose() needs another call"


def test_the_pause_signal_carries_its_state_and_passes_except_exception() -> None:
    assert "state" in inspect.signature(Pause).parameters, "flows/job.py: leaving with a pause needs another signal"
    assert not issubclass(Pause, Exception), "flows/job.py: the wrapper's `except Exception` would swallow it"


def test_a_task_holds_its_retry_options_where_a_step_sets_them() -> None:
    task = Task(
        fn=lambda: None, name="t", retries=2, retry_delay_seconds=[1, 2], retry_jitter_factor=0.1, timeout_seconds=3
    )

    held = (task.retries, task.retry_delay_seconds, task.retry_jitter_factor, task.timeout_seconds)
    assert held == (2, [1, 2], 0.1, 3), (
        "flows/step.py: Step._in_this_attempt sets attributes that Prefect no longer reads"
    )


def test_the_engine_asks_the_retry_condition_while_retries_are_left() -> None:
    source = inspect.getsource(SyncTaskRunEngine.handle_retry)

    assert "self.can_retry" in source, "flows/step.py: nobody asks may_retry_in_process any more"


def test_a_running_step_knows_its_task_run() -> None:
    assert {"task", "task_run"} <= TaskRunContext.model_fields.keys(), "flows/step.py: notes need another source"


def test_the_default_key_is_computed_from_inputs() -> None:
    names = inspect.signature(DEFAULT.compute_key).parameters

    assert {"task_ctx", "inputs", "flow_parameters"} <= names.keys(), "flows/step.py: StepKey must call it otherwise"


def test_the_process_of_a_run_is_known_by_its_environment() -> None:
    sources = inspect.getsource(process) + inspect.getsource(base)

    assert RUN_ID in sources, "flows/keeper/processes.py: jobs are not found any more"


def test_the_worker_of_a_run_is_known_by_a_label() -> None:
    assert WORKER in inspect.getsource(base), "flows/rescue.py: nothing tells whose a run is"

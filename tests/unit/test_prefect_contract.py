"""What we rely on in Prefect without a promise of its keepers. When an upgrade breaks one of these, the message says what hangs on it."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, get_args

import pytest
from prefect import Task, _flow_run_suspension, engine, flow_engine, results
from prefect._internal import attempt_control, control_listener
from prefect.cache_policies import DEFAULT
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.context import AsyncClientContext, SyncClientContext, TaskRunContext
from prefect.events.worker import EventsWorker
from prefect.exceptions import Pause
from prefect.flow_engine import AsyncFlowRunEngine, FlowRunEngine
from prefect.logging import handlers
from prefect.logging.handlers import APILogWorker
from prefect.runner._hook_runner import HookRunner
from prefect.server.models import events as run_events
from prefect.server.orchestration import global_policy
from prefect.task_engine import SyncTaskRunEngine
from prefect.workers import base, process

from redrive.blocks.prefect.run_labels import WORKER
from redrive.infra.keeper.processes import RUN_ID

PRIVATE = "blocks/prefect/private"


def test_the_pause_signal_carries_its_state_and_passes_except_exception() -> None:
    assert "state" in inspect.signature(Pause).parameters, (
        "flows/engine/job.py: leaving with a pause needs another signal"
    )
    assert not issubclass(Pause, Exception), "flows/engine/job.py: the wrapper's `except Exception` would swallow it"


def test_a_task_holds_its_retry_options_where_a_step_sets_them() -> None:
    task = Task(
        fn=lambda: None, name="t", retries=2, retry_delay_seconds=[1, 2], retry_jitter_factor=0.1, timeout_seconds=3
    )

    held = (task.retries, task.retry_delay_seconds, task.retry_jitter_factor, task.timeout_seconds)
    assert held == (2, [1, 2], 0.1, 3), (
        "flows/engine/step.py: Step._in_this_attempt sets attributes that Prefect no longer reads"
    )


def test_the_engine_asks_the_retry_condition_while_retries_are_left() -> None:
    source = inspect.getsource(SyncTaskRunEngine.handle_retry)

    assert "self.can_retry" in source, "flows/engine/step.py: nobody asks may_retry_in_process any more"


def test_a_running_step_knows_its_task_run() -> None:
    assert {"task", "task_run"} <= TaskRunContext.model_fields.keys(), "flows/engine/step.py: notes need another source"


def test_the_default_key_is_computed_from_inputs() -> None:
    names = inspect.signature(DEFAULT.compute_key).parameters

    assert {"task_ctx", "inputs", "flow_parameters"} <= names.keys(), (
        "flows/engine/step.py: StepKey must call it otherwise"
    )


def test_the_process_of_a_run_is_known_by_its_environment() -> None:
    sources = inspect.getsource(process) + inspect.getsource(base)

    assert RUN_ID in sources, "infra/keeper/processes.py: jobs are not found any more"


def test_the_worker_of_a_run_is_known_by_a_label() -> None:
    assert WORKER in inspect.getsource(base), "infra/keeper/rescue.py: nothing tells whose a run is"


# infra/worker


def test_flow_engines_are_looked_up_by_name_where_the_warm_ones_are_put() -> None:
    for function in ("run_flow_sync", "run_flow_async", "run_generator_flow_sync", "run_generator_flow_async"):
        source = inspect.getsource(getattr(flow_engine, function))
        assert "FlowRunEngine[" in source, f"{PRIVATE}: install() replaces an engine that {function} no longer uses"


@pytest.mark.parametrize("engine", [FlowRunEngine, AsyncFlowRunEngine])
def test_engine_has_what_the_warm_one_changes(engine: type[Any]) -> None:
    for name in (
        "__post_init__",
        "heartbeat_seconds",
        "setup_flow_run_suspension_request",
        "_get_flow_run_suspension_request",
        "setup_run_context",
    ):
        assert hasattr(engine, name), f"{PRIVATE}: _Warm changes {name}, which the engine has no more"
    assert dataclasses.is_dataclass(engine), f"{PRIVATE}: _Warm.__post_init__ is never called"
    names = {field.name for field in dataclasses.fields(engine)}
    assert {"flow_run", "_attempt_conclusion"} <= names, f"{PRIVATE}: conclude() cannot tell how a run ended"


def test_engine_enters_the_suspension_request_that_the_worker_answers() -> None:
    entered = inspect.getsource(flow_engine)

    assert "setup_flow_run_suspension_request()" in entered, f"{PRIVATE}: nobody hears of a suspension"
    request = inspect.getsource(_flow_run_suspension)
    assert "def raise_if_requested" in request, f"{PRIVATE}: _Warm.setup_flow_run_suspension_request"
    assert list(inspect.signature(_flow_run_suspension.mark_flow_run_suspension_requested).parameters) == [
        "flow_run_id",
        "state",
    ], f"{PRIVATE}: suspend() must call it otherwise"
    assert list(inspect.signature(_flow_run_suspension.register_flow_run_suspension_request).parameters) == [
        "flow_run_id",
        "suspension_request",
    ], f"{PRIVATE}: _Warm.setup_flow_run_suspension_request"


def test_heartbeat_is_off_without_an_interval() -> None:
    source = inspect.getsource(flow_engine)

    assert "if heartbeat_seconds is None" in source, f"{PRIVATE}: every run sends heartbeats and waits for their thread"


@pytest.mark.parametrize("engine", [FlowRunEngine, AsyncFlowRunEngine])
def test_engine_reads_its_run_once_more_where_the_client_remembers_it(engine: type[Any]) -> None:
    source = inspect.getsource(engine.setup_run_context)

    assert "client.read_flow_run(self.flow_run.id)" in source, f"{PRIVATE}: Reader saves a call that nobody makes"


@pytest.mark.parametrize("engine", [FlowRunEngine, AsyncFlowRunEngine])
def test_first_update_of_a_run_carries_its_policy(engine: type[Any]) -> None:
    source = inspect.getsource(engine.initialize_run)

    assert "empirical_policy=" in source, f"{PRIVATE}: _with_process() has no call to put the process's id into"


def test_clients_are_made_and_held_as_the_warm_ones_are() -> None:
    for client in (PrefectClient, SyncPrefectClient):
        names = inspect.signature(client).parameters
        assert {"api", "auth_string", "api_key"} <= names.keys(), f"{PRIVATE}: _credentials()"
    for context in (SyncClientContext, AsyncClientContext):
        assert "client" in context.model_fields, f"{PRIVATE}: WarmClientContext hands over a client"
        assert "self.client" in inspect.getsource(context), f"{PRIVATE}: WarmClientContext hands over a client"


def test_intent_is_set_as_the_control_channel_does() -> None:
    assert callable(control_listener._set_intent), f"{PRIVATE}: set_intent(): a cancelled run would crash instead"
    assert callable(control_listener.clear_intent), f"{PRIVATE}: begin(): a run would inherit the intent of the last"
    assert {"cancel", "reschedule"} <= set(get_args(attempt_control.Intent)), "infra/worker/messages.py: Intent"


def test_metrics_and_results_are_driven_as_the_engine_process_does() -> None:
    source = inspect.getsource(engine)

    assert "RunMetrics(" in source, f"{PRIVATE}: run_to_its_end() differs from `python -m prefect.engine`"
    assert list(inspect.signature(engine._drive_run_flow_result).parameters) == ["flow", "run_result"], (
        f"{PRIVATE}: run_to_its_end()"
    )
    assert {"flow", "flow_run", "error_logger"} <= inspect.signature(flow_engine.run_flow).parameters.keys(), (
        f"{PRIVATE}: run_to_its_end()"
    )


@pytest.mark.parametrize("service", [APILogWorker, EventsWorker])
def test_what_is_queued_can_be_sent_before_a_process_ends(service: type[Any]) -> None:
    assert "timeout" in inspect.signature(service.drain_all).parameters, f"{PRIVATE}: flush() loses logs and task runs"


def test_log_lines_can_be_given_to_somebody_else() -> None:
    source = inspect.getsource(handlers)

    assert "emit_api_log(log)" in source, f"{PRIVATE}: send_logs_by() gets no line: a killed child takes them along"
    assert "_api_log_sink(log)" in source, f"{PRIVATE}: send_logs_by()"


def test_default_result_storage_is_asked_for_by_the_functions_that_remember() -> None:
    for name in ("_read_server_default_result_storage_block_id", "_aread_server_default_result_storage_block_id"):
        assert not inspect.signature(getattr(results, name)).parameters, f"{PRIVATE}: _remembered() of {name}"
        assert inspect.getsource(results).count(name) > 1, f"{PRIVATE}: {name} is asked by nobody, so saves nothing"


def test_server_changes_a_run_that_starts_as_the_warm_engine_believes() -> None:
    source = inspect.getsource(global_policy)

    for told in ("run_count", "start_time", "next_scheduled_start_time"):
        assert told in source, f"{PRIVATE}: _as_running() makes up {told}"


def test_hooks_of_a_killed_run_can_be_run_by_somebody_else() -> None:
    assert list(inspect.signature(HookRunner).parameters) == ["resolve_flow"], f"{PRIVATE}: run_hooks()"
    for name in ("run_cancellation_hooks", "run_crashed_hooks"):
        assert list(inspect.signature(getattr(HookRunner, name)).parameters) == ["self", "flow_run", "state"], (
            f"{PRIVATE}: run_hooks()"
        )


def test_worker_can_be_given_a_loop_of_its_own() -> None:
    source = inspect.getsource(base.BaseWorker)

    for name in (
        "self._setup_cancellation_observer()",
        "workload=self.get_and_submit_flow_runs",
        "self._last_polled_time",
        "self._work_queues",
        "self._work_pool_name",
        "self._limit",
        "self.backend_id",
    ):
        assert name in source, f"infra/worker/warm_worker.py: relies on {name}"


def test_events_of_a_run_name_their_pool_and_queue() -> None:
    source = inspect.getsource(run_events)

    assert '"role": "work-queue"' in source, "infra/worker/wakeups.py: _queue() never finds one"
    assert "prefect.{kind}.{data" in source, "infra/worker/wakeups.py: the filter lets nothing through"

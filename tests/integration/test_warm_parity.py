"""A run leaves the same record under the warm worker as under Prefect's own `process` worker.

Left out: `Submitting`, a name that the stock worker gives Pending for a moment; the lines of the workers themselves; what
the stock worker says of fetching code where there is nothing to fetch; and lines about the hooks of a run that was killed or
cancelled, which the stock worker loses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.results import ResultRecordMetadata

from tests.support.plain_prefect import PATIENCE, PlainPrefect
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(1500), pytest.mark.slow]

#: Name of a case → flow and parameters.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "sync": ("plain", {"number": 5}),
    "async": ("coroutine", {"number": 5}),
    "subflows": ("above", {}),
    "mapped": ("mapped", {}),
    "gathered": ("amapped", {}),
    "artifacts": ("artifacts", {}),
    "failing task": ("failing_task", {}),
    "failing flow": ("failing_flow", {}),
    "wrong type": ("typed", {"number": "many"}),
    "unknown parameter": ("typed", {"number": 1, "other": 2}),
    "name templates": ("templates", {"number": 7}),
    "runtime values": ("values", {}),
    "completion hook": ("hooked", {}),
    "failure hook": ("hooked", {"do": "fail"}),
    "system exit": ("hooked", {"do": "system-exit"}),
    "killed": ("hooked", {"do": "die"}),
    "exited": ("hooked", {"do": "exit"}),
    "cancelled": ("hooked", {"do": "wait"}),
    "cancelled, deaf to SIGTERM": ("hooked", {"do": "stubborn"}),
    "import error": ("no_such_flow", {}),
    "from a file": ("plain", {"number": 6}),
}
#: Loggers of workers and of what they start.
_OF_WORKERS = ("prefect.flow_runs.worker", "prefect.flow_runs.runner", "prefect.runner", "prefect.worker")
#: Prefect's own kill takes its time.
STOCK_KILL = 90


@dataclass(frozen=True)
class Trial:
    """All cases under one worker; ids of the runs by case."""

    prefect: PlainPrefect
    runs: dict[str, str]
    folders: dict[str, Path]

    def record(self, case: str) -> dict[str, Any]:
        return _record(self.prefect, self.runs[case])

    def hooks(self, case: str) -> list[tuple[str, Any]]:
        """Which hooks ran, with what they were told."""
        told = []
        for file in sorted(self.folders[case].glob("on_*")):
            told += [(file.name, json.loads(line)["value"]) for line in file.read_text().splitlines()]
        return told


@pytest.fixture(scope="module")
def trials(plain_prefect: PlainPrefect) -> Iterator[dict[str, Trial]]:
    """Every case under both workers."""
    both = {}
    workers = []
    for kind in ("process", "warm"):
        pool = plain_prefect.pool(kind)
        folders = {case: plain_prefect.folder("parity") for case in CASES}
        runs = {}
        for case, (flow, parameters) in CASES.items():
            given = {**parameters, "folder": str(folders[case])} if flow == "hooked" else parameters
            deployment = plain_prefect.deploy(flow, pool, from_file=case == "from a file")
            runs[case] = plain_prefect.begin(deployment, **given)
        # One at a time for Prefect's own, which would be slower side by side.
        workers.append(plain_prefect.worker(pool, kind, limit=4))
        both[kind] = Trial(plain_prefect, runs, folders)
    try:
        for kind, trial in both.items():
            for case, run_id in trial.runs.items():
                if case.startswith("cancelled"):
                    waiting = trial.folders[case] / "waiting"
                    wait_until(waiting.exists, 4 * PATIENCE, f"{case} to begin under {kind}")
                    plain_prefect.in_state(run_id, "Running")
                    plain_prefect.cancel(run_id)
        for trial in both.values():
            for run_id in trial.runs.values():
                plain_prefect.end_of(run_id, 4 * PATIENCE)
        yield both
    finally:
        for worker in workers:
            worker.end()


@pytest.mark.parametrize("case", CASES)
def test_same_record(trials: dict[str, Trial], case: str) -> None:
    ours, stock = trials["warm"], trials["process"]

    # Logs, task runs and hooks come in after the end of the run.
    wait_until(lambda: ours.hooks(case) == stock.hooks(case), STOCK_KILL, f"the hooks {stock.hooks(case)}")
    try:
        wait_until(lambda: ours.record(case) == stock.record(case), 15, "the records to agree")
    except AssertionError:
        assert ours.record(case) == stock.record(case)


def test_killed_run_has_run_its_hook_and_says_by_what(trials: dict[str, Trial]) -> None:
    trial = trials["warm"]

    run = trial.prefect.run(trial.runs["killed"])

    assert run["state_name"] == "Crashed"
    assert "killed by SIGKILL" in run["state"]["message"]
    assert ("on_crashed", ["hooked", "CRASHED"]) in trial.hooks("killed")


def test_exited_run_says_its_exit_code(trials: dict[str, Trial]) -> None:
    trial = trials["warm"]

    run = trial.prefect.run(trial.runs["exited"])

    assert run["state_name"] == "Crashed"
    assert "exited with status code: 3" in run["state"]["message"]


def _record(prefect: PlainPrefect, run_id: str) -> dict[str, Any]:
    run = prefect.run(run_id)
    states = prefect.states(run_id)
    # Who found the process dead says so in its own words.
    outside = run["state_type"] in {"CRASHED", "CANCELLED"}
    return {
        "states": [(one["type"], one["name"]) for one in states if one["name"] not in {"Submitting", "Late"}],
        "message": None if outside else _plain(run["state"]["message"] or "", run),
        "result": _result(run["state"]),
        "name": run["name"] if run["name"].startswith("run-of-") else None,
        "parameters": sorted(run["parameters"]),
        "run_count": run["run_count"],
        "timed": (run["start_time"] is not None, run["end_time"] is not None),
        # Which attempt holds the run is a label of ours; Prefect's workers know no attempts.
        "labels": sorted(run["labels"].keys() - {"redrive.attempt"}),
        "pid": outside or run["infrastructure_pid"] is not None,
        "logs": sorted(
            (line["name"], line["level"], _plain(line["message"], run))
            for line in prefect.logs(run_id)
            if not line["name"].startswith(_OF_WORKERS)
            and not line["message"].startswith("Downloading flow code")
            and not (outside and "Hook" in line["message"].title())
        ),
        "tasks": sorted((_task(prefect, one, run) for one in prefect.task_runs(run_id)), key=str),
        "artifacts": sorted((one["key"], one["type"], str(one["data"])) for one in prefect.artifacts(run_id)),
        "subflows": [_record(prefect, one["id"]) for one in _subflows(prefect, run_id)],
    }


def _task(prefect: PlainPrefect, task_run: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": _plain(task_run["name"], run),
        "key": task_run["task_key"].rpartition(".")[2].partition("-")[0],
        "states": [(state["type"], state["name"]) for state in prefect.task_states(task_run["id"])],
        "result": _result(task_run["state"]),
        "run_count": task_run["run_count"],
        "timed": (task_run["start_time"] is not None, task_run["end_time"] is not None),
        "inputs": sorted(task_run["task_inputs"]),
        "child": task_run["state"]["state_details"]["child_flow_run_id"] is not None,
    }


def _subflows(prefect: PlainPrefect, run_id: str) -> list[dict[str, Any]]:
    found = prefect.runs(flow_runs={"parent_flow_run_id": {"any_": [run_id]}})
    return sorted(found, key=lambda one: str(one["start_time"]))


def _result(state: dict[str, Any]) -> Any:
    """The value that a state keeps in the storage, if it does."""
    data = state.get("data") or {}
    if not isinstance(data, dict) or not (key := data.get("storage_key")):
        return None
    path = Path(key)
    if not path.exists():
        return "missing"
    value = ResultRecordMetadata.model_validate(data).serializer.loads(path.read_bytes())
    if isinstance(value, dict) and value.keys() == {"metadata", "result"}:
        return value["result"]
    return repr(value) if isinstance(value, BaseException) else value


def _plain(text: str, run: dict[str, Any]) -> str:
    """Without what differs from run to run: names, ids, ports, lines of tracebacks."""
    text = text.partition("Traceback (most recent call last)")[0].replace(run["name"], "NAME")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    text = re.sub(r"(?<=[a-z])-[0-9a-f]{3}\b", "-XXX", text)
    text = re.sub(r"\b[a-z]+-[a-z]+(?='| for flow)", "NAME", text)
    return re.sub(r"[0-9a-f]{32}", "ID", text)

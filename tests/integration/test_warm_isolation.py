"""What a job does to its process, the next job in the same slot does not notice, in both isolations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.plain_prefect import PATIENCE, PlainPrefect, PlainWorker, lives, zombies
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

#: What a job does, and the state it ends in.
NASTY = {
    "leak": "Completed",
    "children": "Completed",
    "sessions": "Completed",
    "daemon": "Completed",
    "sigterm": "Completed",
    "stdout": "Completed",
    "descriptors": "Completed",
    "_exit": "Crashed",
    "system-exit": "Crashed",
    "thread": "Completed",
    "folder": "Completed",
    "environment": "Completed",
    "umask": "Completed",
}


@dataclass(frozen=True)
class Slot:
    """A worker with one slot."""

    prefect: PlainPrefect
    worker: PlainWorker
    isolation: str
    deployments: dict[str, str]
    folder: Path

    def see(self) -> dict[str, Any]:
        """What a job finds in this slot, with the process it ran in."""
        self.run("see", folder=str(self.folder))
        line = json.loads((self.folder / "seen").read_text().splitlines()[-1])
        return {"pid": line["pid"], **line["value"]}

    def run(self, flow: str, **parameters: Any) -> dict[str, Any]:
        return self.prefect.end_of(self.prefect.begin(self.deployments[flow], **parameters))


@pytest.fixture(scope="module", params=["reuse", "run"])
def slot(plain_prefect: PlainPrefect, request: pytest.FixtureRequest) -> Iterator[Slot]:
    pool = plain_prefect.pool(isolation=request.param, recycle_memory=128)
    deployments = {flow: plain_prefect.deploy(flow, pool) for flow in ("see", "nasty", "plain", "hooked")}
    worker = plain_prefect.worker(pool, limit=1)
    slot = Slot(plain_prefect, worker, request.param, deployments, plain_prefect.folder("isolation"))
    try:
        slot.see()
        yield slot
        wait_until(lambda: not zombies(worker.below()), PATIENCE, "what ended to be reaped")
    finally:
        worker.end()


@pytest.mark.parametrize("do", NASTY)
def test_next_job_is_untouched(slot: Slot, do: str) -> None:
    folder = slot.prefect.folder("nasty")
    before = slot.see()

    run = slot.run("nasty", folder=str(folder), do=do)
    after = slot.see()

    assert run["state_name"] == NASTY[do]
    culprit = json.loads((folder / "nasty").read_text())["pid"]
    assert after["pid"] != culprit or (slot.isolation == "reuse" and do == "system-exit")
    assert set(after.pop("threads")) <= {*before.pop("threads"), "redrive-line"}
    assert after["cwd"] != "/"
    assert after["folder"] == []
    assert after["files"] <= before["files"] + 4
    for name in ("pid", "cwd", "files"):
        del before[name], after[name]
    assert after == before
    wait_until(lambda: not _left_by(folder), 20, "what the job started to end")


def test_child_serves_job_after_job_where_it_may(slot: Slot) -> None:
    pids = [slot.see()["pid"] for _ in range(3)]

    assert len(set(pids)) == (1 if slot.isolation == "reuse" else 3)


def test_log_is_complete_though_the_next_job_kills_the_process(slot: Slot) -> None:
    folder = str(slot.prefect.folder("logs"))

    logging = slot.prefect.begin(slot.deployments["plain"])
    slot.prefect.begin(slot.deployments["hooked"], folder=folder, do="die")
    slot.prefect.end_of(logging)

    def lines() -> set[str]:
        return {line["message"] for line in slot.prefect.logs(logging)}

    wait_until(lambda: {"the flow begins", "doubling 2", "Finished in state Completed()"} <= lines(), 30, "the log")


def test_job_that_closes_all_files_ends_and_the_next_one_runs(slot: Slot) -> None:
    folder = slot.prefect.folder("line")

    run_id = slot.prefect.begin(slot.deployments["nasty"], folder=str(folder), do="line")
    run = slot.prefect.end_of(run_id)

    assert run["state_name"] == "Completed" or "closed the line to the worker" in run["state"]["message"]
    assert slot.see()["kept"] == 0


def test_files_do_not_pile_up_in_worker(slot: Slot) -> None:
    slot.see()
    before = psutil.Process(slot.worker.pid).num_fds()

    for _ in range(8):
        slot.run("nasty", folder=str(slot.prefect.folder("fds")), do="folder")

    wait_until(
        lambda: psutil.Process(slot.worker.pid).num_fds() <= before + 3, PATIENCE, f"the worker to have {before} files"
    )


def _left_by(folder: Path) -> list[int]:
    """Processes that the job started and that still run."""
    notes = (folder / "left").read_text().splitlines() if (folder / "left").exists() else []
    pids = [json.loads(line)["value"] for line in notes]
    return [pid for pid in pids if psutil.pid_exists(pid) and lives(psutil.Process(pid))]

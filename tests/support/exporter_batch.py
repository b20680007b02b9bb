"""A batch of jobs of every kind, with kills of jobs and of the exporter in the middle of it, and what really happened."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from typing import Any
from uuid import UUID

import httpx
from prefect.client.schemas.objects import State
from prometheus_client.parser import text_string_to_metric_families

from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.details import cancel_job
from redrive.infra.keeper.processes import JobProcesses
from tests.support.exporter_mixture import KILLED, MENDED, MIXTURE, STOPPED, Sort
from tests.support.job_stack import JobStack
from tests.support.prefect_client import api
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_until

#: Prefect's stock worker starts a process for each attempt; on a busy machine that takes seconds.
SECONDS_PER_JOB = 20

OURS = 'queue_jobs_total{job=~"test-.*"}'

#: Whether every scrape of the exporter in the last hour came back.
MISSED = 'min_over_time(up{job="redrive"}[1h])'

#: What only ever grows.
NEVER_BACK = (
    "queue_jobs_total", "queue_jobs_failed_total", "queue_job_retries_total", "queue_jobs_rescued_total",
    "queue_jobs_processing_duration_seconds_count", "queue_jobs_processing_duration_seconds_sum",
    "queue_jobs_wait_seconds_bucket", "queue_job_tries_bucket",
)  # fmt: skip

ENDS = {"COMPLETED": "completed", "CANCELLED": "cancelled", "FAILED": "dead"}


class Batch:
    """The jobs, what was done to them, and what the exporter said then."""

    def __init__(self, stack: JobStack, size: int) -> None:
        self.stack = stack
        self.folder = stack.folder("mixed")
        self.sorts: dict[UUID, Sort] = {}
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        self.prometheus: Prometheus | None = None
        self.wanted = [MIXTURE[number % len(MIXTURE)] for number in range(size)]
        random.Random(size).shuffle(self.wanted)

    def run(self) -> None:
        """Start them all, break what is to be broken, wait for every end."""
        for sort in self.wanted:
            job = self.enqueue(sort, delay=3600 if sort.end == "cancelled" else None)
            if sort.end == "cancelled":
                cancel_job(job)
        killed, stopped, mended = (self.enqueue(sort) for sort in (KILLED, STOPPED, MENDED))
        self.kill_process_of(killed)
        self.wait(lambda: self.ended() >= len(self.sorts) // 3, "a third to end")
        self.kill_exporter()
        self.wait(lambda: self.state_of(stopped).type.value == "RUNNING", "the long job to run")
        cancel_job(stopped)
        row = self.stack.dead_letter(mended, timeout=self.patience)
        (self.folder / str(mended) / "mended").touch()
        with self.stack.ledger() as ledger:
            redrive(ledger, row.id, who="ann", why="mended")
        self.wait(lambda: self.ended() == len(self.sorts), "every job to end")
        self.wait(lambda: len(self.dead_letters()) == self.expected_dead() + 1, "every dead letter to be recorded")

    @property
    def patience(self) -> float:
        return (len(self.sorts) + 10) * SECONDS_PER_JOB

    def wait(self, condition: Any, what: str) -> None:
        wait_until(condition, self.patience, what)

    def enqueue(self, sort: Sort, delay: float | None = None) -> UUID:
        folder = self.folder / str(len(self.sorts))
        folder.mkdir()
        queue: Any = sort.queue
        job = enqueue(sort.job, {"folder": str(folder), **sort.parameters}, queue=queue, delay=delay)
        (self.folder / str(job.id)).symlink_to(folder)
        self.sorts[job.id] = sort
        return job.id

    def kill_process_of(self, job: UUID) -> None:
        effect = self.folder / str(job) / "long"
        self.wait(effect.exists, "the job that is to be killed to work")
        JobProcesses.snapshot(self.stack.settings).kill(job)

    def kill_exporter(self) -> None:
        """Kill it until Prometheus has missed it: it may be back before the next scrape."""

        def missed() -> bool:
            gone = {None, self.stack.kill("exporter")}
            wait_until(lambda: self.stack.component("exporter")["pid"] not in gone, 30, "the exporter to be back")
            return self.prometheus is None or self.prometheus.value(MISSED) == 0

        wait_until(missed, 120, "Prometheus to have missed the exporter")

    def state_of(self, job: UUID) -> State[Any]:
        state = api().read_flow_run(job).state
        assert state is not None
        return state

    def ended(self) -> int:
        ids = [str(one) for one in self.sorts]
        found = 0
        for start in range(0, len(ids), 200):
            wanted = {"id": {"any_": ids[start : start + 200]}, "state": {"type": {"any_": list(ENDS)}}}
            found += api().request("POST", "/flow_runs/count", json={"flow_runs": wanted}).json()
        return found

    def expected_dead(self) -> int:
        return sum(sort.end == "dead" for sort in self.sorts.values())

    def dead_letters(self) -> list[Any]:
        rows: list[Any] = []
        cursor: str | None = None
        with self.stack.ledger() as ledger:
            while True:
                page = ledger.find(Filter(), cursor=cursor)
                rows += page.rows
                if (cursor := page.next) is None:
                    return rows

    def scrape(self) -> None:
        """Read the exporter once it counted everything."""
        url = f"http://127.0.0.1:{self.stack.settings.metrics_port}/metrics"
        truth = Truth(self)
        fates = truth.by_fate().total()

        def read() -> bool:
            text = httpx.get(url, trust_env=False).text
            self.samples = {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
            return sum(self.of("queue_jobs_total", "status").values()) >= fates

        try:
            # A minute and more: what was committed late, on a busy machine, is found by comparing numbers.
            wait_until(read, 150, "the exporter to have counted every end")
        except AssertionError:
            missing = Counter(truth.by_fate()) - Counter(self.of("queue_jobs_total", "status"))
            histories = {
                job: [(state.name, state.timestamp, state.message) for state in states]
                for job, states in truth.histories.items()
                if truth.place(job) in {key[:2] for key in missing}
            }
            raise AssertionError(f"not counted: {missing}; {histories}") from None
        if self.prometheus is not None:
            prometheus = self.prometheus
            wait_until(lambda: sum(prometheus.figures(OURS).values()) >= fates, 60, "Prometheus to have it")

    def of(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Values that are not 0, by queue, job and the labels named; schedules of the stack start jobs as well, which are left out."""
        wanted = ("queue", "job", *labels)
        return {
            tuple(dict(found)[label] for label in wanted): value
            for (metric, found), value in self.samples.items()
            if metric == name and value and dict(found)["job"].startswith("test-")
        }


class Truth:
    """What happened, from everything but the exporter and its tables."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.histories = {job: self.history(job) for job in batch.sorts}
        self.fates = {job: self.ends(states) for job, states in self.histories.items()}

    @staticmethod
    def history(job: UUID) -> list[State[Any]]:
        return sorted(api().read_flow_run_states(job), key=lambda state: state.timestamp)

    @staticmethod
    def ends(states: list[State[Any]]) -> list[str]:
        return [ENDS[state.type.value] for state in states if state.type.value in ENDS]

    def place(self, job: UUID) -> tuple[str, str]:
        return self.batch.sorts[job].queue, self.batch.sorts[job].job

    def by_fate(self) -> Counter[tuple[str, ...]]:
        return Counter((*self.place(job), fate) for job, fates in self.fates.items() for fate in fates)

    def failures(self) -> Counter[tuple[str, ...]]:
        found: Counter[tuple[str, ...]] = Counter()
        with self.batch.stack.ledger() as ledger:
            for row in self.batch.dead_letters():
                deaths = sum(act.what in {"dead-lettered", "reopened"} for act in ledger.history(row.id))
                found[row.queue, row.job, row.reason] += deaths
        return found

    def rescues(self) -> Counter[tuple[str, ...]]:
        """A crash that was followed by another start."""
        found: Counter[tuple[str, ...]] = Counter()
        for job, states in self.histories.items():
            for crashed, after in itertools.pairwise(states):
                if crashed.type.value == "CRASHED" and after.type.value == "SCHEDULED":
                    found[self.place(job)] += 1
        return found

    def retries(self) -> Counter[tuple[str, ...]]:
        found: Counter[tuple[str, ...]] = Counter()
        for job, sort in self.batch.sorts.items():
            if sort.tries > 1:
                found[self.place(job)] += sort.tries - 1
        return found

    def tries(self) -> dict[tuple[str, ...], list[float]]:
        return self.values(lambda job: [float(self.batch.sorts[job].tries)] * len(self.fates[job]))

    def durations(self) -> dict[tuple[str, ...], list[float]]:
        return self.values(lambda job: running_until_each_end(self.histories[job]))

    def waits(self) -> dict[tuple[str, ...], list[float]]:
        return self.values(lambda job: [wait_of(self.histories[job])])

    def values(self, of: Any) -> dict[tuple[str, ...], list[float]]:
        """By queue and job type, of every job that ever started."""
        found: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for job, states in self.histories.items():
            if any(state.type.value == "RUNNING" for state in states):
                found[self.place(job)] += of(job)
        return dict(found)


def running_until_each_end(states: list[State[Any]]) -> list[float]:
    found, ran = [], 0.0
    for state, after in zip(states, [*states[1:], None], strict=True):
        if state.type.value == "RUNNING" and after is not None:
            ran += (after.timestamp - state.timestamp).total_seconds()
        if state.type.value in ENDS:
            found.append(ran)
            ran = 0.0
    return found


def wait_of(states: list[State[Any]]) -> float:
    due = states[0].state_details.scheduled_time
    started = next(state.timestamp for state in states if state.type.value == "RUNNING")
    return max(0.0, (started - due).total_seconds())

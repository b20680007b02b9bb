"""The public kill test: jobs of 0.2 s on four slots, `kill -9` of the worker's whole tree every few seconds.

What counts is that every job is done, none twice, and how soon: a worker that stands by takes over in the moment of each kill.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from redrive.blocks.prefect.trail import states_of
from redrive.blocks.process.end_notes import EndNotes
from redrive.deployments.enqueue import Item, enqueue_many
from tests.chaos.fault_stack import PATIENCE, FaultStack, pass_by
from tests.chaos.journal import Line, read_journal
from tests.chaos.test_warm_worker import check_effects, completed
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(3600)]

#: Seconds of work of each job, and between two kills.
WORK, EVERY = 0.2, 5.0


@dataclass(frozen=True)
class Size:
    jobs: int
    kills: int


@dataclass(frozen=True)
class Kill:
    """When it was over, by the monotonic clock, and the jobs that had noted their end by then."""

    at: float
    noted: frozenset[str]

    @classmethod
    def now(cls, stack: FaultStack) -> Kill:
        return cls(time.monotonic(), frozenset(EndNotes.of(stack.home).run_ids()))


@pytest.mark.parametrize(
    "size", [pytest.param(Size(60, 2), id="small"), pytest.param(Size(500, 8), id="full", marks=pytest.mark.soak)]
)
def test_the_one_that_stands_by_takes_over_from_a_killed_worker(stack: FaultStack, size: Size) -> None:
    folder = stack.folder("kills")
    wait_until(stack.standby, PATIENCE, "one to stand by")
    items = [
        Item(parameters={"folder": str(folder), "seconds": WORK}, key=f"{folder.name}-{n}") for n in range(size.jobs)
    ]

    def begun() -> int:
        return sum(line.what == "begin" for line in read_journal(folder))

    began = time.monotonic()
    ids = {one.id for one in enqueue_many("fault-quick", items)}
    wait_until(lambda: begun() >= 4, PATIENCE, "the first jobs to begin")
    gaps, kills = [], []
    for _ in range(size.kills):
        pass_by(EVERY)
        heir = wait_until(stack.standby, PATIENCE, "one to stand by")
        before = begun()
        killed = stack.kill_worker_tree()
        kills.append(Kill.now(stack))
        wait_until(lambda killed=killed: stack.pid("worker") not in {0, killed}, PATIENCE, "the next worker")  # type: ignore[misc]  # mypy cannot infer it
        assert stack.pid("worker") == heir
        if before < size.jobs:
            wait_until(lambda before=before: begun() > before, PATIENCE, "the next job to begin")  # type: ignore[misc]  # as above
            gaps.append(round(time.monotonic() - kills[-1].at, 1))
    wait_until(lambda: completed(ids) == size.jobs, PATIENCE + 2 * size.jobs, "every job to be Completed")
    seconds = time.monotonic() - began

    journal = read_journal(folder)
    check_effects(journal, {f"{folder.name}-{n}" for n in range(size.jobs)})
    twice = [key for key, ends in Counter(line.key for line in journal if line.what == "end").items() if ends > 1]
    figures = {"seconds": round(seconds, 1), "seconds to the next job": gaps, "done twice": len(twice)}
    print({"jobs": size.jobs, "kills": size.kills, **figures})
    for key in twice:
        print(f"done twice: {key}", *history([line for line in journal if line.key == key], kills, began), sep="\n  ")


def history(lines: Sequence[Line], kills: Sequence[Kill], began: float) -> Iterator[str]:
    """What a job and its run went through, and the kills that met it, each with its seconds since the test began."""
    run_id, wall = lines[0].run_id, time.time() - time.monotonic()
    events = [(line.at, f"{line.what} in process {line.pid}") for line in lines]
    events += [
        (state.timestamp.timestamp() - wall, f"state {state.name} {state.id}: {state.message}")
        for state in states_of(run_id)
    ]
    events += [
        (kill.at, f"the tree is killed; its end was {'' if str(run_id) in kill.noted else 'not '}noted")
        for kill in kills
        if lines[0].at <= kill.at <= lines[-1].at
    ]
    return (f"{at - began:9.4f} {what}" for at, what in sorted(events))

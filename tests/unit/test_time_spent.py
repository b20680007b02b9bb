"""Where the workers' time goes: by job type and step."""

from __future__ import annotations

import pytest

from redrive.blocks.process.job_figures import MEGABYTE, Counting
from redrive.deployments.health.time_spent import spent_by_type


def test_time_is_shared_among_types_and_steps() -> None:
    counting = Counting()
    for _ in range(3):
        counting.attempt(
            "sync", seconds=10, memory=100 * MEGABYTE, steps={"load": ({"10.0": 1}, 8.0), "check": ({"1.0": 1}, 1.0)}
        )
    counting.attempt("mail", seconds=10, memory=0, steps={})

    sync, mail = spent_by_type(counting.take())

    assert (sync.name, sync.count, sync.share, mail.share) == ("sync", 3, 0.75, 0.25)
    assert [(step.name, step.share) for step in sync.steps] == [("load", 0.8), ("check", pytest.approx(0.1))]
    assert sync.outside == pytest.approx(0.1)
    assert (sync.p50, sync.p99) == (pytest.approx(10), pytest.approx(10))
    assert sync.memory_p95 == pytest.approx(128 * MEGABYTE, rel=0.05)
    assert (mail.steps, mail.outside, mail.memory_p95) == ((), 1.0, None)


def test_steps_side_by_side_share_what_they_took_together() -> None:
    counting = Counting()
    counting.attempt("sync", seconds=10, memory=0, steps={"load": ({"10.0": 4}, 40.0)})

    (sync,) = spent_by_type(counting.take())

    assert (sync.steps[0].share, sync.outside) == (1.0, 0.0)

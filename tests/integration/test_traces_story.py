"""A job that fails, waits, crashes, is rescued, dies and is redriven: its spans lead from the last try back to the request."""

from __future__ import annotations

import json

import pytest

from redrive.blocks.tracing import names
from redrive.deployments.enqueue import wait_for
from redrive.deployments.jobs.details import show_job
from tests.support.conventions import faults
from tests.support.span_tree import children
from tests.support.traced_stack import TracedStack
from tests.support.waiting import wait_until

#: With a stack of its own, and the receivers beside it.
pytestmark = pytest.mark.soak

PATIENCE = 120


def test_a_job_leads_span_by_span_from_its_last_try_back_to_the_request(traced_stack: TracedStack) -> None:
    told = tell_story(traced_stack)

    # And each span about a job is as the conventions' published model has it.
    about = [one for place in told for one in traced_stack.receiver.of_trace(place) if names.SYSTEM in one.attributes]
    assert len(about) >= 10
    assert {one.name: wrong for one in about if (wrong := faults(one))} == {}


def test_it_does_so_over_http_too(http_traced_stack: TracedStack) -> None:
    tell_story(http_traced_stack)


def tell_story(traced_stack: TracedStack) -> set[str]:
    """A job's whole life, span by span; returns its traces."""
    receiver, folder = traced_stack.receiver, traced_stack.folder("story")

    # Given a job that fails and is tried again at once, fails and waits, dies with its process, is rescued, and then is a dead letter.
    job = traced_stack.asked("traced-story", folder=str(folder), script="fail,fail,die,permanent,ok")
    assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    row = traced_stack.dead_letter(job)
    # And that is redriven with edited parameters.
    edited = json.dumps({"folder": str(folder), "script": "ok"})
    traced_stack.redrive("dead", "redrive", str(job), "--params-json", edited)
    again = show_job(job)[0].replaced_by
    assert again is not None
    assert wait_for(again, timeout=PATIENCE).state_name == "Completed"

    # Then the request is a span, and each attempt is a trace that leads to it and to the attempt before.
    (created,) = receiver.wait_for("create traced-story", message=job)
    tries = receiver.wait_for("process default", 3, message=job)
    (recreated,) = receiver.wait_for("create traced-story", message=again)
    (last,) = receiver.wait_for("process default", message=again)
    assert (created.kind, created.service) == ("PRODUCER", "redrive-client")
    assert [one.kind for one in (*tries, last)] == ["CONSUMER"] * 4
    assert len({one.trace for one in (created, *tries, recreated, last)}) == 6
    assert [one.parent for one in (*tries, last)] == [""] * 4
    assert [one.linked("created") for one in tries] == [created.place] * 3
    assert [one.linked("previous") for one in tries] == [None, tries[0].place, tries[1].place]
    assert (recreated.linked("replaces"), recreated.linked("created")) == (tries[2].place, created.place)
    assert (last.linked("created"), last.linked("previous")) == (recreated.place, None)

    # Its outcome and what failed.
    assert [one.attributes[names.OUTCOME] for one in (*tries, last)] == [
        "retried",
        "crashed",
        "dead letter",
        "completed",
    ]
    assert [one.failed for one in (*tries, last)] == [True, True, True, False]
    errors = [one.attributes.get(names.ERROR_TYPE) for one in tries]
    assert errors == ["tests.support.traced_jobs.Refused", "crash", "redrive.blocks.core.errors.PermanentError"]
    assert "SIGKILL" in tries[1].said
    assert [one.attributes[names.CRASHES] for one in tries] == [0, 0, 1]
    assert tries[2].attributes[names.FINGERPRINT] == row.fingerprint
    assert row.trace_id == tries[2].trace == show_job(job)[0].trace_id
    assert show_job(again)[0].trace_id == last.trace

    # Its steps, those that were tried again in the same process too; the one that was running when the process died.
    steps = [[one for one in receiver.of_trace(of.trace) if one.name == "step act"] for of in (*tries, last)]
    assert [[one.failed for one in some] for some in steps] == [[True, True], [True], [True], [False]]
    assert [[one.parent for one in some] for some in steps] == [
        [of.id] * len(some) for of, some in zip((*tries, last), steps, strict=True)
    ]
    assert [[one.attributes[names.TRY] for one in some] for some in steps] == [[1, 2], [3], [3], [1]]

    # How each was settled: by the job, or by the keeper where its process died.
    settled = [children(receiver, of)["settle default"] for of in (*tries, last)]
    assert [one.attributes[names.OUTCOME] for one in settled] == ["retried", "rescued", "dead letter", "completed"]
    assert [one.service for one in settled] == ["redrive-worker", "redrive-keeper", "redrive-worker", "redrive-worker"]
    return {one.trace for one in (created, *tries, recreated, last)}


def test_a_job_that_is_redriven_as_it_was_leads_back_to_its_dead_try(traced_stack: TracedStack) -> None:
    receiver, folder = traced_stack.receiver, traced_stack.folder("redriven")
    job = traced_stack.asked("traced-story", folder=str(folder), script="permanent,ok")
    assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    traced_stack.dead_letter(job)
    traced_stack.redrive("dead", "redrive", str(job))
    wait_until(lambda: show_job(job)[0].state == "Completed", PATIENCE, "the job to be done")

    (created,) = receiver.wait_for("create traced-story", message=job)
    dead, done = receiver.wait_for("process default", 2, message=job)
    assert (done.linked("created"), done.linked("previous")) == (created.place, dead.place)
    # Its tries count afresh, and its trace is the one that people are shown.
    assert done.attributes[names.TRY] == 1
    assert show_job(job)[0].trace_id == done.trace


def test_the_first_try_is_a_child_of_the_request_where_that_is_wanted(traced_stack: TracedStack) -> None:
    receiver, folder = traced_stack.receiver, traced_stack.folder("child")
    parameters = {"folder": str(folder), "script": "fail,fail,ok"}
    job = traced_stack.asked("traced-story", REDRIVE_TRACE_FIRST_TRY="child", **parameters)
    assert wait_for(job, timeout=PATIENCE).state_name == "Completed"

    (created,) = receiver.wait_for("create traced-story", message=job)
    first, second = receiver.wait_for("process default", 2, message=job)
    assert (first.trace, first.parent) == created.place
    assert second.trace != created.trace
    assert (second.linked("created"), second.linked("previous")) == (created.place, first.place)
    assert show_job(job)[0].trace_id == second.trace

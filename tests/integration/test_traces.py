"""Traces of real jobs, as a real receiver of OTLP gets them."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from redrive.blocks.prefect.labels import TRACE_CREATED
from redrive.blocks.tracing import names
from redrive.blocks.tracing.trace_context import TraceContext
from redrive.deployments.enqueue import wait_for
from redrive.deployments.jobs.details import show_job
from redrive.deployments.jobs.logs import log_of
from tests.support.console import client
from tests.support.conventions import exception_faults, faults, metric_faults
from tests.support.http_source import answering
from tests.support.otlp import ReceivedLine, ReceivedSpan, Receiver
from tests.support.traced_stack import MARKED, TracedStack
from tests.support.waiting import wait_until

#: With a stack of its own, and the receivers beside it.
pytestmark = pytest.mark.soak

PATIENCE = 120


def children(receiver: Receiver, of: ReceivedSpan) -> dict[str, ReceivedSpan]:
    """The spans right below one, by name."""
    return {one.name: one for one in receiver.of_trace(of.trace) if one.parent == of.id}


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


def test_spans_say_what_the_conventions_ask_for(traced_stack: TracedStack) -> None:
    receiver = traced_stack.receiver
    job = traced_stack.asked("traced-idle")
    end = wait_for(job, timeout=PATIENCE)
    (created,) = receiver.wait_for("create traced-idle", message=job)
    (process,) = receiver.wait_for("process default", message=job)
    settled = children(receiver, process)["settle default"]

    shared = {"messaging.system": "redrive", "messaging.destination.name": "default", "messaging.message.id": str(job)}
    for one, operation in ((created, "create"), (process, "process"), (settled, "settle")):
        said = shared | {"messaging.operation.name": operation, "messaging.operation.type": operation}
        assert said.items() <= one.attributes.items()
        assert (one.scope, one.schema) == ("redrive", names.SCHEMA)
    assert process.attributes["messaging.client.id"] == process.attributes[names.WORKER] == show_job(job)[0].worker
    assert process.attributes[names.JOB] == "traced-idle"
    assert process.attributes[names.TRY] == 1
    assert process.attributes[names.WAIT] >= 0
    assert end.labels[TRACE_CREATED] == str(TraceContext(created.trace, created.id))


def test_what_a_job_asks_of_others_is_below_its_step_and_holds_no_data(traced_stack: TracedStack) -> None:
    receiver = traced_stack.receiver
    with answering(200, b"rows", "text/plain") as url:
        job = traced_stack.asked("traced-asks", url=f"{url}?token=marked-query-4")
        assert wait_for(job, timeout=PATIENCE).state_name == "Completed"
    (process,) = receiver.wait_for("process default", message=job)
    step = children(receiver, process)["step ask_them"]

    below = children(receiver, step)
    assert {"GET", "SELECT", "SET"} <= below.keys()
    assert {below[name].kind for name in ("GET", "SELECT", "SET")} == {"CLIENT"}
    told = json.dumps([one.attributes for one in below.values()])
    assert "a literal" not in told
    assert "secret value" not in told
    assert "marked-query-4" not in told
    # Prefect's own requests are no work of the job.
    assert traced_stack.settings.api_url not in json.dumps([one.attributes for one in receiver.of_trace(process.trace)])


def test_a_mail_that_is_handed_over_is_a_span_of_ours_and_names_nobody(traced_stack: TracedStack) -> None:
    receiver, folder = traced_stack.receiver, traced_stack.folder("mail")
    (folder / "hello.txt.j2").write_text("Marked subject 5\n\nHello.\n")
    (folder / "hello.html.j2").write_text("<p>Hello.</p>\n")
    to = ["Ada <marked.ada@example.com>", "marked.bob@example.com"]
    job = traced_stack.asked(
        "mail",
        to=to,
        template=str(folder / "hello"),
        data=None,
        attachments=[],
        send="visible",
        subject="Marked subject 5",
    )
    assert wait_for(job, timeout=PATIENCE).state_name == "Completed"

    (process,) = receiver.wait_for("process high", message=job)
    sent = next(one for one in receiver.of_trace(process.trace) if one.name == "SMTP")
    above = next(one for one in receiver.of_trace(process.trace) if one.id == sent.parent)
    assert (sent.kind, above.name.startswith("step "), sent.failed) == ("CLIENT", True, False)
    assert (sent.attributes[names.RECIPIENTS], sent.attributes[names.REFUSED]) == (2, 0)
    assert sent.attributes[names.SERVER_PORT] == traced_stack.settings.smtp_port
    arrived = b"".join(receiver.requests)
    assert str(job).encode() in arrived
    assert [one for one in (b"marked.ada", b"marked.bob", b"Marked subject 5") if one in arrived] == []


def test_every_line_of_the_log_has_the_trace_and_shows_it_as_a_field(traced_stack: TracedStack) -> None:
    job = traced_stack.asked("traced-story", folder=str(traced_stack.folder("log")), script="permanent")
    assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    trace = show_job(job)[0].trace_id
    lines = wait_until(lambda: [one for one in log_of(job) if "it will never work" in one.message], 30, "its log")

    assert {one.trace_id for one in lines} == {trace}
    sent = wait_until(lambda: [one for one in traced_stack.receiver.lines if one.message == str(job)], 30, "its lines")
    assert {one.trace for one in sent} == {trace}
    assert ("ERROR", True) in {(one.severity, "it will never work" in one.text) for one in sent}
    assert not any("trace_id=" in one.message for one in log_of(job))
    assert f"https://traces.example.com/{trace}" in traced_stack.redrive("jobs", "show", str(job)).stdout
    traced_stack.dead_letter(job)
    assert f"https://traces.example.com/{trace}" in traced_stack.redrive("dead", "show", str(job)).stdout
    with client(traced_stack, "grace", "viewer") as grace:
        assert f'href="https://traces.example.com/{trace}"' in grace.get(f"/jobs/{job}").text


def test_a_job_of_a_worker_of_prefects_own_is_traced_by_its_process(traced_stack: TracedStack) -> None:
    job = traced_stack.asked("dead-letter-review", ask=False)
    assert wait_for(job, timeout=PATIENCE).state_name == "Completed"

    (process,) = traced_stack.receiver.wait_for("process default", message=job)
    assert (process.service, process.linked("created") is not None) == ("redrive-job", True)
    wait_until(lambda: process.trace in {one.trace_id for one in log_of(job)}, 30, "its marked lines")
    # And sent by OTLP, as those of the warm worker's jobs are.
    lines = traced_stack.receiver.lines
    sent = wait_until(lambda: [one for one in list(lines) if one.message == str(job)], 30, "its lines")
    assert {one.trace for one in sent} == {process.trace}


def test_no_secret_arrives(traced_stack: TracedStack) -> None:
    receiver = traced_stack.receiver
    with answering(200, b"ok", "text/plain") as source:
        url = f"{source.replace('://', '://me:' + MARKED['password'] + '@')}?api_key={MARKED['token']}"
        job = traced_stack.asked("traced-leaky", password=MARKED["password"], customer=MARKED["customer"], url=url)
        assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    (process,) = receiver.wait_for("process default", message=job)
    receiver.wait_for("settle default", message=job)

    assert process.said == "{customer} cannot log in with *** at {url}, env ***"
    arrived = b"".join(receiver.requests)
    assert str(job).encode() in arrived
    assert [name for name, value in MARKED.items() if value.encode() in arrived] == []
    wait_until(lambda: traced_stack.sentry.of_job(job), 30, "its event at Sentry")
    told = b"".join(traced_stack.sentry.bodies)
    assert [name for name, value in MARKED.items() if value.encode() in told] == []


def test_exceptions_are_events_of_the_log_as_well(traced_stack: TracedStack) -> None:
    job = traced_stack.asked("traced-story", folder=str(traced_stack.folder("raised")), script="permanent")
    assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    (process,) = traced_stack.receiver.wait_for("process default", message=job)

    def raised() -> list[ReceivedLine]:
        lines = [one for one in list(traced_stack.receiver.lines) if one.event == names.EXCEPTION]
        return [one for one in lines if one.trace == process.trace]

    step, whole = wait_until(lambda: found if len(found := raised()) == 2 else None, 30, "the exceptions")

    assert (whole.span, whole.message, whole.severity) == (process.id, str(job), "ERROR")
    assert step.attributes[names.STEP] == "act"
    assert whole.attributes[names.EXCEPTION_TYPE] == "redrive.blocks.core.errors.PermanentError"
    assert "it will never work" in whole.attributes[names.EXCEPTION_STACKTRACE]
    assert list(exception_faults(whole.attributes)) == []


def test_operations_of_producer_worker_and_job_are_measured(traced_stack: TracedStack) -> None:
    job = traced_stack.asked("traced-idle")
    assert wait_for(job, timeout=PATIENCE).state_name == "Completed"

    def measured() -> dict[tuple[str, str], Any]:
        return {
            (service_of(of), point_attributes(point)[names.OPERATION]): metric
            for request in list(traced_stack.receiver.metrics)
            for of in request.resource_metrics
            for scope in of.scope_metrics
            for metric in scope.metrics
            if metric.name == names.OPERATION_DURATION
            for point in metric.histogram.data_points
        }

    wanted = {("redrive-client", "create"), ("redrive-worker", "settle")}
    found = wait_until(lambda: now if wanted <= (now := measured()).keys() else None, 30, "both operations")
    assert [fault for metric in found.values() for fault in metric_faults(metric)] == []


def service_of(resource_metrics: Any) -> str:
    return next(one.value.string_value for one in resource_metrics.resource.attributes if one.key == "service.name")


def point_attributes(point: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}


def test_each_failed_try_is_an_event_of_sentry_where_that_is_wanted(http_traced_stack: TracedStack) -> None:
    stack = http_traced_stack
    job = stack.asked("traced-story", folder=str(stack.folder("tries")), script="fail,fail,fail")
    assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    row = stack.dead_letter(job)

    def events() -> list[dict[str, Any]] | None:
        found = stack.sentry.of_job(job)
        return found if len(found) == 3 else None

    told = sorted(
        wait_until(events, 30, "two tries and the dead letter"), key=lambda one: one["contexts"]["job"]["tries"]
    )

    assert [one["level"] for one in told] == ["warning", "warning", "error"]
    assert {one["fingerprint"][0] for one in told} == {row.fingerprint}
    assert [one["exception"]["values"][0]["value"] for one in told] == ["nobody answers"] * 3
    assert told[0]["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"] == "act"


def test_each_dead_letter_is_one_event_of_sentry(traced_stack: TracedStack) -> None:
    job = traced_stack.asked("traced-story", folder=str(traced_stack.folder("event")), script="fail,fail,fail")
    assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    row = traced_stack.dead_letter(job)

    (event,) = wait_until(lambda: traced_stack.sentry.of_job(job), 30, "its event at Sentry")
    assert (event["fingerprint"], event["release"], event["transaction"]) == (
        [row.fingerprint],
        "shop@1.2.3",
        "traced-story",
    )
    assert event["contexts"]["job"]["tries"] == 3
    assert event["contexts"]["job"]["link"] == f"https://jobs.example.com/jobs/{job}"
    assert event["contexts"]["trace"]["trace_id"] == row.trace_id
    (raised,) = event["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("Refused", "nobody answers")
    assert (raised["stacktrace"]["frames"][-1]["function"], raised["stacktrace"]["frames"][-1]["in_app"]) == (
        "act",
        True,
    )


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


def test_a_receiver_that_refuses_harms_no_job_and_what_is_lost_is_counted(traced_stack: TracedStack) -> None:
    traced_stack.receiver.status = 400
    try:
        job = traced_stack.asked("traced-idle")
        assert wait_for(job, timeout=PATIENCE).state_name == "Completed"
        wait_until(lambda: traced_stack.spans("refused") > 0, 30, "the refused spans to be counted")
    finally:
        traced_stack.receiver.status = 200


def test_a_receiver_that_hangs_harms_no_job(traced_stack: TracedStack) -> None:
    receiver = traced_stack.receiver
    receiver.held = threading.Event()
    try:
        job = traced_stack.asked("traced-idle")
        assert wait_for(job, timeout=PATIENCE).state_name == "Completed"
        wait_until(lambda: traced_stack.spans("waiting") > 0, 30, "spans to wait")
    finally:
        receiver.held.set()
        receiver.held = None

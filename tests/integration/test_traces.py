"""Traces of real jobs, as a real receiver of OTLP gets them."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from redrive.blocks.core.trace_context import TraceContext
from redrive.blocks.prefect.labels import TRACE_CREATED
from redrive.blocks.tracing import names
from redrive.deployments.enqueue import wait_for
from redrive.deployments.jobs.details import show_job
from redrive.deployments.jobs.logs import log_of
from tests.support.console import client
from tests.support.conventions import exception_faults, metric_faults
from tests.support.http_source import answering
from tests.support.otlp import ReceivedLine
from tests.support.span_tree import children
from tests.support.traced_stack import MARKED, TracedStack
from tests.support.waiting import wait_until

#: With a stack of its own, and the receivers beside it.
pytestmark = pytest.mark.soak

PATIENCE = 120


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

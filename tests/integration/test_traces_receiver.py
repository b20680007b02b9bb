"""A receiver that is slow, full, away or says no: whoever traces never waits, keeps a bounded number, and counts what was lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from redrive.blocks.tracing.exceptions import exception_lines, without_exceptions
from redrive.blocks.tracing.hidden import LONGEST, Hidden
from redrive.blocks.tracing.sdk.as_json import COUNT_LIMIT, OVERHEAD, PART, SPAN_LIMIT, written
from redrive.blocks.tracing.sdk.exporter import SpanOutbox, resource
from redrive.blocks.tracing.sdk.log_sender import LogOutbox
from redrive.blocks.tracing.sdk.outbox import REQUEST_BYTES
from tests.support.otlp import Protocol, Receiver, receiving
from tests.support.waiting import wait_until

PROTOCOLS: tuple[Protocol, ...] = ("http/protobuf", "grpc")
#: Spans that an outbox of these tests holds.
ROOM = 64


def span(number: int = 1, *, size: int = 600, name: str = "process high") -> dict[str, Any]:
    """A span as a job's process hands it over."""
    return {
        "name": name,
        "trace": f"{number:032x}",
        "span": f"{number:016x}",
        "flags": 1,
        "parent": None,
        "kind": 4,
        "start": 1_000_000,
        "end": 2_000_000,
        "status": [0, ""],
        "attributes": {"messaging.system": "redrive", "filling": "x" * max(0, size - 512)},
        "events": [],
        "links": [],
        "scope": ["redrive", "1", ""],
        "size": size,
    }


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an outbox that sends to a receiver, or to an address."""

    def made(to: Receiver | str, *, room: int = ROOM) -> SpanOutbox:
        environment = to.environment if isinstance(to, Receiver) else {"OTEL_EXPORTER_OTLP_ENDPOINT": to}
        limits = {
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_BSP_MAX_QUEUE_SIZE": str(room),
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(min(room, 16)),
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        }
        for name, value in {**environment, **limits}.items():
            monkeypatch.setenv(name, value)
        return SpanOutbox(resource("test", "1"))

    return made


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_spans_arrive_as_they_were(outbox: Any, protocol: Protocol) -> None:
    with receiving(protocol) as receiver:
        box = outbox(receiver)
        box.put(span(7))

        assert box.outbox.flush(10)
        (came,) = receiver.spans
    assert (came.name, came.kind, came.trace, came.service) == ("process high", "CONSUMER", f"{7:032x}", "redrive-test")
    assert box.outbox.snapshot() == {"sent": 1, "dropped": 0, "refused": 0, "waiting": 0}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_slow_receiver_has_no_room_for_is_dropped_and_counted(outbox: Any, protocol: Protocol) -> None:
    with receiving(protocol) as receiver:
        receiver.held = threading.Event()
        box = outbox(receiver)
        box.put(span())
        assert receiver.arrived.wait(10)
        # From here on nothing leaves; whoever puts is not made to wait.
        for number in range(2, ROOM * 3):
            box.put(span(number))
        said = box.outbox.snapshot()
        assert said["dropped"] == ROOM * 3 - 2 - ROOM
        assert said["waiting"] == ROOM + 1
        receiver.held.set()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_receiver_refuses_is_counted_and_not_sent_for_ever(outbox: Any, protocol: Protocol) -> None:
    with receiving(protocol) as receiver:
        receiver.status = 400
        box = outbox(receiver)
        box.put(span())

        wait_until(lambda: box.outbox.counts.refused == 1, 10, "the refusal")
        receiver.status = 200
        box.put(span(2))
        assert box.outbox.flush(10)
    assert [one.trace for one in receiver.spans] == [f"{2:032x}"]


def test_a_receiver_that_is_unavailable_is_found_again(outbox: Any) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    box = outbox(f"http://127.0.0.1:{port}")
    box.put(span())
    wait_until(lambda: box.outbox.counts.refused == 1, 20, "the first batch to be given up")

    with receiving("http/protobuf", port) as receiver:
        box.put(span(2))
        assert box.outbox.flush(20)

    assert [one.trace for one in receiver.spans] == [f"{2:032x}"]


def test_a_process_that_ends_waits_no_longer_than_it_may(outbox: Any) -> None:
    with receiving() as receiver:
        receiver.held = threading.Event()
        box = outbox(receiver)
        box.put(span())

        assert box.outbox.flush(0.1) is False
        receiver.held.set()


def test_no_request_is_larger_than_vendors_take(outbox: Any) -> None:
    with receiving() as receiver:
        box = outbox(receiver, room=200)
        for number in range(1, 100):
            box.put(span(number, size=32_000))
        assert box.outbox.flush(30)

    assert len(receiver.spans) == 99
    assert max(map(len, receiver.requests)) <= REQUEST_BYTES


def test_what_no_span_is_keeps_nothing_else_back(outbox: Any) -> None:
    with receiving() as receiver:
        box = outbox(receiver)
        box.put({"name": "half a span"})
        box.put(span(3))
        assert box.outbox.flush(10)

    assert [one.trace for one in receiver.spans] == [f"{3:032x}"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_request_with_lines_is_larger_than_vendors_take_whatever_is_written_in_them(
    monkeypatch: pytest.MonkeyPatch, protocol: Protocol
) -> None:
    with receiving(protocol) as receiver:
        for name, value in receiver.environment.items():
            monkeypatch.setenv(name, value)
        box = LogOutbox(resource("test", "1"))
        for number in range(100):
            # Four bytes each, and the longest text that leaves.
            box.put(line(number, text="\N{GRINNING FACE}" * LONGEST))
        assert box.outbox.flush(30)

    assert [one.text[0] for one in receiver.lines] == ["\N{GRINNING FACE}"] * 100
    assert len(receiver.requests) > 1
    assert max(map(len, receiver.requests)) <= 1_000_000


def test_a_span_has_a_bound_in_bytes() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter := InMemorySpanExporter()))
    with provider.get_tracer("test").start_as_current_span("process high") as span:
        for number in range(100):
            span.set_attribute(f"filling {number}", "\N{GRINNING FACE}" * 1000)
        for _ in range(200):
            span.add_event("exception", {"exception.message": "\N{GRINNING FACE}" * 1000})
    kept = written(exporter.get_finished_spans()[0], Hidden())

    assert len(json.dumps(kept, ensure_ascii=False).encode()) <= kept["size"] + COUNT_LIMIT * 64
    assert kept["size"] <= SPAN_LIMIT + OVERHEAD + (COUNT_LIMIT + 1) * PART
    assert kept["attributes"]


def test_an_exception_of_a_span_is_an_event_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    made = span(5)
    made["attributes"]["messaging.message.id"] = "the job"
    made["events"] = [["exception", 7, {"exception.type": "E", "exception.message": "no"}], ["other", 8, {}]]

    (told,) = exception_lines(made)
    both = without_exceptions(made)
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs")
    moved = without_exceptions(made)

    assert (told["event"], told["text"], told["trace"], told["at"]) == ("exception", "no", f"{5:032x}", 7)
    assert told["attributes"] == {"messaging.message.id": "the job", "exception.type": "E", "exception.message": "no"}
    assert [len(one["events"]) for one in (made, both, moved)] == [2, 2, 1]


def line(number: int, *, text: str) -> dict[str, Any]:
    """A line of a job's log as its process hands it over."""
    return {
        "at": 1_000_000,
        "level": 20,
        "logger": "job",
        "text": text,
        "trace": f"{number + 1:032x}",
        "span": f"{1:016x}",
        "attributes": {},
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_process_ends_well_while_its_receiver_hangs(protocol: Protocol) -> None:
    program = (
        "from redrive.blocks.tracing import names\n"
        "from redrive.blocks.tracing.operations import measured\n"
        "from redrive.blocks.tracing.messaging import messaging\n"
        "from redrive.blocks.tracing.spans import span\n"
        "with measured('create', 'high'), span('create mail', names.PRODUCER, messaging('create', 'high')) as made:\n"
        "    made.failed(ValueError('no'))\n"
    )
    with receiving(protocol) as receiver:
        receiver.held = threading.Event()
        asked = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp"}
        environment = {**os.environ, **receiver.environment, **asked}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    assert done.returncode == 0, done.stderr
    assert "Failed to export" not in done.stderr

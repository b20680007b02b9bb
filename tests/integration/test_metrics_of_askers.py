"""Operations of a process that asks for jobs, measured and sent by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from redrive.blocks.tracing import names
from tests.support.otlp import Protocol, Receiver, receiving
from tests.support.otlp_points import told


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_operations_are_measured_in_the_process_that_asks(protocol: Protocol) -> None:
    program = (
        "from redrive.blocks.tracing.operations import measured\n"
        "with measured('create', 'high'): pass\n"
        "try:\n"
        "    with measured('create', 'high'): raise ConnectionError\n"
        "except ConnectionError: pass\n"
    )
    with receiving(protocol) as receiver:
        api = {"PREFECT_API_URL": "https://prefect.example.com/api"}
        environment = {**os.environ, **receiver.environment, **api, "OTEL_METRICS_EXPORTER": "otlp"}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)

        points = told(receiver, names.OPERATION_DURATION)

    errors = [{one.key: one.value.string_value for one in point.attributes} for _, point in points]
    assert [point.count for _, point in points] == [1, 1]
    assert [one.pop(names.ERROR_TYPE, None) for one in errors] == [None, "ConnectionError"]
    assert {one.pop(names.SERVER_ADDRESS) for one in errors} == {"prefect.example.com"}
    assert [list(one.keys() & {names.SERVER_PORT}) for one in errors] == [[names.SERVER_PORT]] * 2
    for one in errors:
        del one[names.SERVER_PORT]
    shared = {
        names.SYSTEM: "redrive",
        names.OPERATION: "create",
        names.OPERATION_TYPE: "create",
        names.DESTINATION: "high",
    }
    assert errors == [shared, shared]


def test_a_process_that_asks_waits_no_longer_than_it_may_for_a_receiver_that_hangs() -> None:
    program = (
        "import time\n"
        "from redrive.blocks.tracing import operations\n"
        "with operations.measured('create', 'high'): pass\n"
        "from redrive.blocks.tracing.sdk.operations import LAST_FIGURES, of_this_process\n"
        "began = time.monotonic()\n"
        "of_this_process().finish()\n"
        "assert time.monotonic() - began < LAST_FIGURES + 1\n"
        "import os; os._exit(0)\n"
    )
    with receiving() as receiver:
        receiver.held = threading.Event()
        environment = {**os.environ, **receiver.environment, "OTEL_METRICS_EXPORTER": "otlp"}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
        assert receiver.arrived.is_set()

"""The server parses an event once for all who read it, and dates still subtract as they should."""

from __future__ import annotations

import subprocess
import sys

#: In a process of its own: the server changes Prefect's classes for good.
_PROGRAM = """
from datetime import UTC, datetime, timedelta
from uuid import uuid4
import pendulum
from prefect.server.events.schemas.events import Event, ReceivedEvent
from redrive.blocks.prefect.private import server

now, year = pendulum.now("UTC"), datetime(2000, 1, 1, tzinfo=UTC)
before = now - year
told = Event(occurred=now, event="e", resource={"prefect.resource.id": "r"}, id=uuid4()).receive().model_dump_json()
parsed = ReceivedEvent.model_validate_json(told)
server.handle_events_cheaply()
assert now - year == timedelta(seconds=before.total_seconds())
assert (now - pendulum.now("UTC")).in_hours() == 0
assert now - timedelta(hours=1) == now.subtract(hours=1)
assert ReceivedEvent.model_validate_json(told) == parsed
assert ReceivedEvent.model_validate_json(told) is ReceivedEvent.model_validate_json(told)
other = told.replace('"event":"e"', '"event":"f"')
assert ReceivedEvent.model_validate_json(other).event == "f"
try:
    ReceivedEvent.model_validate_json("{}")
except ValueError:
    pass
else:
    raise AssertionError("no event was taken for one")
"""


def test_events_are_parsed_once_and_dates_subtract_as_before() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr

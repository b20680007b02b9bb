"""What is loaded before the work begins is left out of the garbage collector's rounds."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from redrive.blocks.core.heap import freeze_loaded
from redrive.infra.server.front import Front, Receive, Scope, Send


class Node:
    """Refers to itself, so only the collector can end it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collected_again() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_garbage_goes_and_what_is_loaded_stays_out_of_the_rounds() -> None:
    garbage = weakref.ref(Node())
    kept = Node()

    freeze_loaded()

    assert garbage() is None
    assert gc.get_freeze_count() > 0
    assert all(kept is not one for one in gc.get_objects())


def test_server_does_so_before_it_says_that_it_has_started() -> None:
    seen: list[tuple[str, int]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})

    async def send(message: dict[str, Any]) -> None:
        seen.append((message["type"], gc.get_freeze_count()))

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    before = gc.get_freeze_count()
    asyncio.run(Front(application, why_off="not in this test")({"type": "lifespan"}, receive, send))

    assert seen == [("lifespan.startup.complete", seen[0][1])]
    assert seen[0][1] > before

"""In front of Prefect's application: our calls are answered here, everything else is passed on untouched.

Danger: the same password guards our calls. What cannot be done here is declined, and the client asks Prefect's own calls.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import orjson
from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, temporary_settings
from sqlalchemy.exc import SQLAlchemyError

from redrive.blocks.core.heap import freeze_loaded
from redrive.blocks.prefect.requests.fast import (
    BEGIN,
    CHANGE,
    COUNT,
    CREATE,
    FIND,
    FINISH,
    FORGET,
    LOG,
    SNAPSHOT,
    TRAIL,
    VERSION,
    VERSION_OF_CALLS,
)
from redrive.infra.server import begin, change, create, find, finish, forget, one_run, prepared, snapshot
from redrive.infra.server.database import Database
from redrive.infra.server.indexes import make_indexes

log = logging.getLogger("prefect.server.redrive")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: Bytes of the largest body; Prefect's own calls take 1 MB of state at most in practice, and many runs come in one call.
LARGEST = 64 * 1024 * 1024

_CALLS: dict[str, Callable[[Database, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
    BEGIN: begin.begin,
    FINISH: finish.finish,
    FORGET: forget.forget,
    CHANGE: change.change,
    CREATE: create.create,
    FIND: find.find,
    COUNT: find.count,
    TRAIL: one_run.trail,
    LOG: one_run.log,
    SNAPSHOT: snapshot.snapshot,
}


class Front:
    """An ASGI application around Prefect's.

    Args:
        why_off: why the calls are off, as of `contract.broken`.
    """

    def __init__(self, app: Any, *, why_off: str | None = None) -> None:
        self._app = app
        self._database = Database()
        auth = PREFECT_SERVER_API_AUTH_STRING.value()
        self._wanted = auth.encode() if auth else None
        self._calls = {f"/api{path}": call for path, call in _CALLS.items()}
        self._why_off = why_off
        self._indexing: asyncio.Task[None] | None = None
        if self._why_off:
            log.warning("the fast calls are off: %s", self._why_off)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        path = scope["path"] if scope["type"] == "http" else ""
        if path not in self._calls and path != f"/api{VERSION}":
            await self._app(scope, receive, send)
            return
        if not self._may(scope):
            await _answer(send, 401, {"exception_message": "Unauthorized"})
        elif path == f"/api{VERSION}":
            await _answer(send, 200, {"version": VERSION_OF_CALLS if await self._is_on() else 0, "why": self._why_off})
        elif not await self._is_on():
            await _answer(send, 501, {"exception_message": self._why_off})
        else:
            await self._call(path, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """From start to stop. Once the application has started its migrations are done, and our indexes are made."""
        is_ours = await self._is_on()
        has_all = is_ours and await prepared.has_all(self._database)

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                freeze_loaded()
            await send(message)
            if message["type"] == "lifespan.startup.complete" and is_ours:
                if not has_all:
                    await prepared.note(self._database)
                self._indexing = asyncio.create_task(self._index())

        with temporary_settings(prepared.settings_for(has_all=has_all) if is_ours else {}):
            await self._app(scope, receive, sending)

    async def _index(self) -> None:
        try:
            async with self._database.connection() as connection:
                await make_indexes(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            log.warning("polls are slow while much waits, as an index could not be made: %r", error)

    async def _call(self, path: str, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            await _answer(send, 413, {"exception_message": f"more than {LARGEST} bytes"})
            return
        try:
            answer = await self._calls[path](self._database, orjson.loads(body))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s was given what it does not understand: %r", path, error)
            await _answer(send, 422, {"exception_message": repr(error)})
        except (asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError, OSError) as error:
            # As Prefect answers while its database is unavailable: clients ask again.
            log.warning("%s: the database did not do it: %r", path, error)
            await _answer(send, 503, {"exception_message": "the database did not do it"})
        else:
            await _answer(send, 200, answer)

    async def _is_on(self) -> bool:
        if self._why_off is None:
            self._why_off = await self._database.why_not()
        return self._why_off is None

    def _may(self, scope: Scope) -> bool:
        """Whether the request carries the server's password."""
        if self._wanted is None:
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, credentials = given.partition(b" ")
        try:
            decoded = base64.b64decode(credentials)
        except ValueError:
            return False
        return scheme == b"Basic" and hmac.compare_digest(decoded, self._wanted)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too large."""
    found = bytearray()
    while True:
        message = await receive()
        found += message.get("body", b"")
        if len(found) > LARGEST:
            return None
        if not message.get("more_body"):
            return bytes(found)


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    body = orjson.dumps(content, default=str)
    # No date: uvicorn gives each answer one, and clients cannot read two.
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

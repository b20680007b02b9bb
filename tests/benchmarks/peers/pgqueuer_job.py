"""pgqueuer's side of the worker benchmark; runs in pgqueuer's own environment, so it imports nothing of ours."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from pgqueuer import PgQueuer  # type: ignore[import-not-found]  # in its own environment
from pgqueuer.db import AsyncpgDriver  # type: ignore[import-not-found]  # as above


async def main() -> Any:
    """The worker, as its documentation writes it."""
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["PEER_URL"])))

    @queuer.entrypoint("one_task")  # type: ignore[untyped-decorator]  # as above
    async def one_task(job: Any) -> None:
        number, told = json.loads(job.payload)
        if told:
            with Path(told).open("a") as file:  # noqa: ASYNC230  (a line, as the others write it)
                file.write(f"{time.time()}\n")
        del number

    return queuer


async def enqueue(count: int, told: str) -> None:
    """Put `count` jobs into the queue; prints the time after each."""
    connection = await asyncpg.connect(os.environ["PEER_URL"])
    queuer = PgQueuer(AsyncpgDriver(connection))
    for number in range(count):
        await queuer.qm.queries.enqueue(["one_task"], [json.dumps([number, told]).encode()], [0])
        print(time.time(), flush=True)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(enqueue(int(sys.argv[1]), sys.argv[2]))

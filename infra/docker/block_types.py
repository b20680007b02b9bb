"""Registers Prefect's own block types: `python -m redrive.infra.docker.block_types`, by the job that migrates.

Each API server would do it at its start, and of two that start together the second one fails and has to start again.
"""

from __future__ import annotations

import asyncio

from prefect.server.database import provide_database_interface
from prefect.server.models.block_registration import run_block_auto_registration


async def register_block_types() -> None:
    """Make those that are missing in the database that Prefect's settings name, and bring the others up to date."""
    session = await provide_database_interface().session()
    async with session:
        await run_block_auto_registration(session=session)


if __name__ == "__main__":
    asyncio.run(register_block_types())

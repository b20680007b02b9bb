"""Where alembic finds the connection: it is handed over by `schema.migrate`, never opened from a file."""

from __future__ import annotations

from alembic import context

from redrive.deployments.dead_letters.ledger.schema import VERSION_TABLE
from redrive.deployments.dead_letters.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()

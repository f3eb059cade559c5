"""How Alembic reaches the database: over the connection that the store hands in."""

from __future__ import annotations

from alembic import context

from aiops.adapters.store.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()

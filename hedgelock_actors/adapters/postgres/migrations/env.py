"""Alembic's entry: runs the versions on the connection that `migrate` opened, in its transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from hedgelock_actors.adapters.postgres.schema import METADATA, SCHEMA


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=METADATA, version_table_schema=SCHEMA, include_schemas=True
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])

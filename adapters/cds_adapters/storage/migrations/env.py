"""Alembic runs the changes on the connection that it is handed, inside its transaction."""

from alembic import context

from cds_adapters.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

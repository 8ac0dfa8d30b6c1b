"""Runs the steps on the connection, and in the transaction, that `ControlStore.migrate` opened.

There is no other way in: no file of settings and no address, so that a migration can't reach a
store other than the one that asked for it.
"""

from __future__ import annotations

from alembic import context

from ecomind_receiver.control.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()

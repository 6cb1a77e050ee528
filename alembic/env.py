"""How alembic reaches the database: one connection, short locks, one runner at a time."""

from alembic import context
from sqlalchemy import Connection, text

from server.postgres.migrations import ADVISORY_LOCK, LOCK_TIMEOUT, STATEMENT_TIMEOUT, engine
from server.postgres.tables import metadata
from server.postgres.urls import owner_url
from server.settings import load


def run(connection: Connection) -> None:
    """Runs the wanted migrations in one transaction, alone.

    The advisory lock is the transaction's, so that it cannot be left behind; a
    migration that waits for a table longer than the lock timeout gives up
    rather than queue everybody else behind it.
    """
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
    with context.begin_transaction():
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text("select set_config('lock_timeout', :value, true)"), {"value": LOCK_TIMEOUT})
        connection.execute(
            text("select set_config('statement_timeout', :value, true)"), {"value": STATEMENT_TIMEOUT}
        )
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("ringfence: migrations run against a database; offline mode is not supported")

given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engine(owner_url(load())).connect() as connection:
        run(connection)
        connection.commit()

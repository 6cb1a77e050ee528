"""How alembic reaches the database: one connection, short locks, one runner at a time."""

from alembic import context
from sqlalchemy import Connection

from server.postgres.migrations import begin_alone, engine, keep_remark
from server.postgres.tables import metadata
from server.postgres.urls import owner_url
from server.settings import load


def run(connection: Connection) -> None:
    """Runs the wanted migrations in one transaction, alone (see begin_alone), and says who works on it."""
    applied: list[str] = []
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=False,
        on_version_apply=lambda step, **_: applied.append(step.up_revision_id),
    )
    with context.begin_transaction():
        begin_alone(connection)
        context.run_migrations()
        if applied:  # not for a mere look, such as `alembic check`
            keep_remark(connection, context.script)


if context.is_offline_mode():
    raise SystemExit("ringfence: migrations run against a database; offline mode is not supported")

given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engine(owner_url(load())).connect() as connection:
        run(connection)
        connection.commit()

-- What the product asks of the database itself.

-- name: has_versions
-- Whether any migration ever ran here.
select to_regclass('public.alembic_version') is not null;

-- name: current_version
select v.version_num
  from public.alembic_version as v;

-- name: lock_migrations
-- One migrator at a time, until its transaction ends.
select pg_advisory_xact_lock(%(key)s);

-- name: limit_transaction
-- A setting of the server for this transaction alone.
select set_config(%(name)s, %(value)s, true);

-- name: grant_rights
select grant_application_rights(%(role)s::text::regrole);

-- name: listening_channels
select pg_listening_channels();

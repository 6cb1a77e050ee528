-- What the product asks of the database itself.

-- name: has_versions
-- Whether any migration ever ran here.
select to_regclass('public.alembic_version') is not null;

-- name: current_version
-- The revision, and what the run of migrations remarked about it.
select v.version_num,
       obj_description('public.alembic_version'::regclass, 'pg_class')
  from public.alembic_version as v;

-- name: remark
-- Read by versions that don't know this revision (see schema_fit.py). A comment, so that it
-- needs no table of its own, whoever reads the revision may read it, and backups carry it.
comment on table public.alembic_version is {remark};

-- name: lock_migrations
-- One migrator at a time, until its transaction ends.
select pg_advisory_xact_lock(%(key)s);

-- name: limit_transaction
-- A setting of the server for this transaction alone.
select set_config(%(name)s, %(value)s, true);

-- name: grant_rights
select grant_application_rights(%(role)s::text::regrole);

-- name: record_migration
-- In the transaction of the migration itself.
select record_operation('schema.migrate', %(revision)s, %(outcome)s, %(caller)s::jsonb);

-- name: notify
select pg_notify(%(channel)s, %(payload)s);

-- name: listening_channels
select pg_listening_channels();

-- What the product asks of the database itself.

-- name: has_versions
-- Whether any migration ever ran here.
select to_regclass('public.alembic_version') is not null;

-- name: current_version
select v.version_num
  from public.alembic_version as v;

-- name: grant_rights
select grant_application_rights(%(role)s::text::regrole);

-- name: listening_channels
select pg_listening_channels();

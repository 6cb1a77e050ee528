-- What backup, restore and move ask of a database.

-- name: what_is_there
-- Everything that a person or a program made here: none in an empty database.
select c.relname::text
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 where n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
   and not exists (
       select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
   )
 union all
select p.proname::text
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace
 where n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and not exists (
       select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
   )
 order by 1;

-- name: hold_migrations
-- The same lock as a migration takes, until this session ends: who migrates an empty database waits.
select pg_advisory_lock(%(key)s);

-- name: has_role
select exists (select from pg_roles as r where r.rolname = %(role)s);

-- name: current_role
select current_user::text;

-- name: make_role
create role {role} login;

-- name: analyze
-- So that plans fit what was just written.
analyze;

-- name: tables
-- All tables of the service, for counting.
select c.relname::text
  from pg_class as c
 where c.relnamespace = 'public'::regnamespace
   and c.relkind = 'r'
 order by 1;

-- name: count_rows
select count(*)
  from {table};

-- name: others
-- Who else is connected to this database: a count for each name.
select coalesce(nullif(a.application_name, ''), 'without a name') as name, count(*) as sessions
  from pg_stat_activity as a
 where a.datname = current_database()
   and a.backend_type = 'client backend'
   and a.pid <> pg_backend_pid()
 group by 1
 order by 1;

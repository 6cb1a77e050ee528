-- What the doctor asks of the database. Everything is read; nothing is changed.

-- name: server
-- Which server this is, and whether it takes writes.
select current_setting('server_version_num')::integer as version_number,
       current_setting('server_version') as version,
       pg_is_in_recovery() as is_standby,
       current_setting('default_transaction_read_only') = 'on' as is_read_only,
       current_user::text as role,
       (select r.rolsuper from pg_roles as r where r.rolname = current_user) as is_superuser;

-- name: durability
-- Settings without which a success that was told may be lost.
select s.name, s.setting
  from pg_settings as s
 where s.name in ('fsync', 'full_page_writes', 'synchronous_commit')
   and s.setting = 'off'
 order by s.name;

-- name: writable_tables
-- Tables of ours that the role could change behind the functions' back.
select c.relname::text as name
  from pg_class as c
 where c.relnamespace = to_regnamespace('public')
   and c.relkind in ('r', 'p')
   and c.relname = any (%(tables)s)
   and has_table_privilege(c.oid, 'insert, update, delete, truncate')
 order by c.relname;

-- name: unreadable_tables
-- Tables of ours that are missing, or that the role can't read.
select t.name
  from unnest(%(tables)s::text[]) as t (name)
 where to_regclass(format('public.%%I', t.name)) is null
    or not has_table_privilege(to_regclass(format('public.%%I', t.name)), 'select')
 order by t.name;

-- name: forbidden_functions
-- Functions that were made for the service (security definer) and that its role can't execute.
select p.oid::regprocedure::text as name
  from pg_proc as p
 where p.pronamespace = to_regnamespace('public')
   and p.prosecdef
   and p.prorettype <> 'trigger'::regtype
   and p.proowner = (select c.relowner from pg_class as c where c.oid = to_regclass('public.users'))
   and not has_function_privilege(p.oid, 'execute')
 order by 1;

-- name: clock
select clock_timestamp() as at;

-- name: connections
-- How many there may be, are, and are kept for administrators.
select current_setting('max_connections')::integer
           - current_setting('superuser_reserved_connections')::integer as allowed,
       (select count(*) from pg_stat_activity as a
         where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()) as used,
       (select count(*) from pg_stat_activity as a
         where a.application_name like 'ringfence node-%%') as ours;

-- name: notification_queue
-- How full the queue of NOTIFY is, from 0 to 1.
select pg_notification_queue_usage() as usage;

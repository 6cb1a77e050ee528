-- A cluster that has worked for long, made set-based by the owner of the tables, in
-- pieces from the first to the last of a series; and what PostgreSQL counted.

-- name: hurry
-- No commit of this session waits for the disk.
set synchronous_commit = off;

-- name: quiet
-- One event and one notification for each of millions of runs would take most of the
-- time; the events are made below, as the trigger would have written them.
alter table runs disable trigger run_started;

-- name: loud
-- As it was.
alter table runs enable trigger run_started;

-- name: tasks
-- The tasks of those runs. The one that has gone is retired.
insert into tasks (name, function, schedule, definition, definition_hash, revision, next_run_at, retired_at)
select names.name, 'server.jobs.pi:estimate_pi', 'every 10 s', '{}', '', 1, clock_timestamp() + interval '1 year',
       case names.name when 'gone-task' then clock_timestamp() end
  from (
           select 'gone-task' as name
            union all
           select 'task-' || n from generate_series(0, 9) as n
       ) as names;

-- name: runs
-- One run a second up to a minute ago, of ten tasks on six nodes. The oldest thousandth
-- is of a node and a task that have gone, and only the older half holds lost runs: what
-- is sought from the newest on lies at the far end.
insert into runs (task_name, node_name, incarnation, status, trigger, scheduled_for, started_at, finished_at,
                  attempt, predecessor_id)
select case when n <= %(total)s / 1000 then 'gone-task' else 'task-' || n %% 10 end,
       case when n <= %(total)s / 1000 then 'gone-node' else 'node-' || n %% 6 end,
       1,
       case when n <= %(total)s / 2 and n %% 5000 = 0 then 'lost' when n %% 50 = 0 then 'failed' else 'succeeded' end,
       case when n %% 50 = 1 then 'retry' else 'schedule' end,
       at - interval '0.02 s',
       at,
       at + interval '0.5 s',
       case when n %% 50 = 1 then 2 else 1 end,
       case when n %% 50 = 1 and n > 1 then n - 1 end
  from (
           select n, clock_timestamp() - interval '1 min' - (%(total)s - n) * interval '1 s' as at
             from generate_series(%(first)s::bigint, %(last)s::bigint) as n
       ) as series;

-- name: events
-- The end of each run, and every thousandth time a node that joined.
insert into events (at, channel, event, task, run_id, node)
select r.finished_at,
       case when r.id %% 1000 = 0 then 'node_events' else 'task_events' end,
       case when r.id %% 1000 = 0 then 'joined' else r.status end,
       case when r.id %% 1000 > 0 then r.task_name end,
       case when r.id %% 1000 > 0 then r.id end,
       r.node_name
  from runs as r
 where r.id between %(first)s::bigint and %(last)s::bigint
 order by r.id;

-- name: accounts
-- Accounts for so many entries each, with the balance that these will add up to; the first
-- and the last of them.
with made as (
    insert into users (balance)
    select 1000000 - (%(rounds)s - 1)
      from generate_series(1, %(accounts)s::bigint)
 returning id
)
select min(m.id), max(m.id)
  from made as m;

-- name: entries
-- The entries of accounts that follow each other, in rounds through all of them as a crowd
-- would move them: 1,000,000 in, and then 1 out each. Request ids as nodes make them,
-- by time; a second.
insert into entries (user_id, amount, balance_after, request_id, created_at)
select %(first_account)s + i %% %(accounts)s,
       case when i < %(accounts)s then 1000000 else -1 end,
       1000000 - i / %(accounts)s,
       (
           lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008'
           || lpad(to_hex(%(first_account)s * 4294967296 + i), 15, '0')
       )::uuid,
       at
  from (
           select i, clock_timestamp() - (%(total)s - i) * interval '1 s' as at
             from generate_series(%(first)s::bigint - 1, %(last)s::bigint - 1) as i
       ) as series;

-- name: indexes
-- The indexes of a table that no constraint needs, as their own statements.
select c.relname as name,
       pg_get_indexdef(i.indexrelid) as definition
  from pg_index as i
  join pg_class as c on c.oid = i.indexrelid
 where i.indrelid = %(table)s::regclass
   and not exists (select from pg_constraint as k where k.conindid = i.indexrelid)
 order by c.relname;

-- name: settle
-- Statistics and visibility, as autovacuum leaves them.
vacuum (analyze) runs, events, tasks, nodes, users, entries;

-- name: sizes
-- Rows as ANALYZE found them, and bytes of the table and of its indexes.
select c.relname as name,
       c.reltuples::bigint as rows,
       pg_table_size(c.oid) as table_bytes,
       pg_indexes_size(c.oid) as indexes_bytes
  from pg_class as c
 where c.relname in ('runs', 'events', 'entries', 'users')
   and c.relnamespace = 'public'::regnamespace
 order by c.relname;

-- name: ends
-- When the first and the last run started.
select min(r.started_at), max(r.started_at)
  from runs as r;

-- name: differing
-- Accounts whose balance is not the sum of their entries; there should be none.
select count(*)
  from users as u
  left join (select e.user_id, sum(e.amount) as total from entries as e group by e.user_id) as ledger
    on ledger.user_id = u.id
 where u.balance is distinct from ledger.total;

-- name: passes
-- How often each table that grows was read from end to end, and how many rows of it were
-- fetched by an index.
select s.relname as name,
       s.seq_scan as passes,
       coalesce(s.idx_tup_fetch, 0) as fetched
  from pg_stat_user_tables as s
 where s.relname in ('runs', 'events', 'entries', 'users')
 order by s.relname;

-- name: count_now
-- What this session has done is counted for all to see.
select pg_stat_force_next_flush();

-- What /metrics asks of the database: facts that no node knows by itself. Few rows each,
-- and at most once in FACTS_SECONDS_KEPT a node, whoever scrapes.

-- name: server
-- The server as a whole. Of other roles' transactions one sees nothing here.
select pg_notification_queue_usage() as notify_queue_usage,
       (select coalesce(sum(d.numbackends), 0)::integer from pg_stat_database as d) as connections,
       current_setting('max_connections')::integer as connections_max,
       (
           select coalesce(max(extract(epoch from clock_timestamp() - a.xact_start)), 0)::float8
             from pg_stat_activity as a
            where a.datname = current_database()
              and a.pid <> pg_backend_pid()
       ) as oldest_transaction_seconds;

-- name: tables
-- Size and dead rows of our own tables, as the statistics have them.
select s.relname as name,
       s.n_live_tup as live_rows,
       s.n_dead_tup as dead_rows,
       pg_total_relation_size(s.relid) as bytes
  from pg_stat_user_tables as s
 where s.schemaname = 'public'
   and s.relname = any (%(tables)s);

-- name: successes
-- How long ago each task last succeeded. Looks at its newest %(runs)s runs and no further, or one that
-- always fails would cost its whole history; of a task without a success among them, how long ago the
-- oldest of them began. A task without any run has neither.
select t.name,
       extract(epoch from clock_timestamp() - success.finished_at)::float8 as success_seconds,
       case
           when success.finished_at is null then (
               select extract(epoch from clock_timestamp() - min(recent.started_at))::float8
                 from (
                          select r.started_at
                            from runs as r
                           where r.task_name = any (array[t.name]) -- see _is_one_of() in history_queries.py
                           order by r.task_name desc, r.id desc
                           limit %(runs)s
                      ) as recent
           )
       end as oldest_seconds
  from tasks as t
  left join lateral (
      select recent.finished_at
        from (
                 select r.id, r.status, r.finished_at
                   from runs as r
                  where r.task_name = any (array[t.name]) -- see _is_one_of() in history_queries.py
                  order by r.task_name desc, r.id desc
                  limit %(runs)s
             ) as recent
       where recent.status = 'succeeded'
       order by recent.id desc
       limit 1
  ) as success on true
 where t.retired_at is null
 order by t.name
 limit %(limit)s;

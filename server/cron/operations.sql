-- What operators may do. The rules are in the functions (alembic/sql/0009_operate.sql).

-- name: run_task
select run_task(%(name)s::text, %(caller)s::jsonb) as outcome;

-- name: pause_task
select pause_task(%(name)s::text, %(caller)s::jsonb) as found;

-- name: paused_task
-- What the next time of a task is computed from, with the clock that counts.
select t.name,
       t.definition,
       t.definition_hash,
       t.next_run_at,
       clock_timestamp() as now
  from tasks as t
 where t.name = %(name)s::text
   and t.paused;

-- name: resume_task
select resume_task(%(name)s::text, %(new_next)s::timestamptz, %(caller)s::jsonb) as found;

-- name: cancel_run
select cancel_run(%(run_id)s::bigint, %(caller)s::jsonb) as outcome;

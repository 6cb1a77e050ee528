-- Statements of the scheduler. The rules are in the functions that they call.

-- name: start_run
select s.run_id,
       s.reason,
       s.trigger,
       s.scheduled_for,
       s.attempt
  from start_run(%(task)s, %(node)s, %(incarnation)s, %(expected_next)s, %(new_next)s) as s;

-- name: skip_tick
select skip_tick(%(task)s, %(expected_next)s, %(new_next)s, %(reason)s, %(ticks)s) as skipped;

-- name: finish_run
select finish_run(
           %(run_id)s, %(incarnation)s, %(status)s, %(result)s, %(output)s, %(error)s,
           make_interval(secs => %(retry_after_seconds)s)
       ) as answer;

-- name: report_progress
select report_progress(%(incarnation)s, %(run_ids)s, %(progress)s) as accepted;

-- name: assert_run
select assert_run(%(run_id)s);

-- name: define_tasks
select define_tasks(%(definitions)s) as changes;

-- name: retire_task
select retire_task(%(task)s) as retired;

-- name: tasks_view
-- What the scheduler decides on: one row a task, and the clock that its times are on.
select t.name,
       t.definition,
       t.definition_hash,
       t.paused,
       t.next_run_at,
       t.due_at,
       case when t.due_trigger = 'manual' then t.due_trace end as due_trace,
       t.retired_at is not null as retired,
       r.id as running_id,
       r.started_at as running_since,
       r.cancel_requested_at is not null as cancel_requested,
       clock_timestamp() as now
  from tasks as t
  left join runs as r on r.task_name = t.name and r.status = 'running'
 order by t.name;

-- name: clock
select clock_timestamp() as now;

-- name: sign
-- Changes with everything that is notified: events, and what is due out of turn. A changed
-- definition is seen with the next look at all tasks.
select (select max(e.id) from events as e) as newest_event,
       count(*) as tasks,
       max(t.due_at) as due_at
  from tasks as t;

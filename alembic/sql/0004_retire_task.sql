-- retire_task: takes a task out of service that no configuration names any more.
--
-- Caller   a node that has watched for long enough that no member knows the task; the
--          function can't know for how long, and only looks once more. A node that
--          joins in this very moment finds its own task retired, and defines it anew.
-- Keeps    the task, whether it is paused, and its history. What was due out of turn is
--          dropped: nobody can run it, and it would be stale when the task returns.
-- Returns  to service by define_tasks(), when a configuration names it again.
-- Locks    the task.
-- Repeat   changes nothing.
-- Returns  whether this call retired it; false if it is retired already, if a node that
--          is not dead knows it, or if something of it runs.
create function retire_task(task_name text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform
       from tasks as t
      where t.name = retire_task.task_name
        for update;

    -- In a statement of its own, so that what others committed while we waited is seen.
    update tasks as t
       set retired_at = clock_timestamp(),
           due_at = null,
           due_trigger = null,
           due_run_id = null,
           due_attempt = 1,
           losses = 0
     where t.name = retire_task.task_name
       and t.retired_at is null
       and not exists (select from nodes as n where n.state <> 'dead' and t.name = any (n.tasks))
       and not exists (select from runs as r where r.task_name = t.name and r.status = 'running');
    return found;
end;
$$;

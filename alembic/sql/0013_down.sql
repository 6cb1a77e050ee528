-- The way back from 0013: run_task() as in 0009.
alter table tasks drop column due_trace;

-- run_task: makes a task due now, once.
--
-- Locks    the task.
-- Returns  due         it will start as soon as its owner sees it
--          running     it runs already; nothing changed
--          paused      resume it first; nothing changed
--          retired     no configuration names it; nothing changed
--          unknown     there is no such task
create or replace function run_task(task_name text, caller jsonb default null)
returns text
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    task    tasks%rowtype;
    outcome text := 'due';
begin
    select t.*
      into task
      from tasks as t
     where t.name = run_task.task_name
       for update;

    if not found then
        outcome := 'unknown';
    elsif task.retired_at is not null then
        outcome := 'retired';
    elsif task.paused then
        outcome := 'paused';
    elsif exists (select from runs as r where r.task_name = task.name and r.status = 'running') then
        outcome := 'running';
    else
        -- A retry or a lost run that waits for its time is brought forward and stays
        -- what it is, so that its successor is still known.
        update tasks as t
           set due_at = least(t.due_at, clock_timestamp()),
               due_trigger = coalesce(t.due_trigger, 'manual')
         where t.name = task.name;
        perform pg_notify('task_wakeups', task.name);
    end if;

    perform record_action('task.run', run_task.task_name, outcome, run_task.caller);
    return outcome;
end;
$$;

-- tasks.due_trace: the trace context of the request that made the task due, for the run that
-- it becomes. Counts only while due_trigger is 'manual': whoever clears that leaves it behind.
-- The lock on the table is held for a moment; nothing is rewritten.
alter table tasks add column due_trace text;
alter table tasks add constraint task_due_trace_short check (length(due_trace) <= 100);


-- run_task: makes a task due now, once.
--
-- caller   as record_action() takes it; with "trace", the W3C trace context of the request,
--          which the run goes on with.
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
               due_trigger = coalesce(t.due_trigger, 'manual'),
               due_trace = left(run_task.caller ->> 'trace', 100)
         where t.name = task.name;
        perform pg_notify('task_wakeups', task.name);
    end if;

    perform record_action('task.run', run_task.task_name, outcome, run_task.caller);
    return outcome;
end;
$$;

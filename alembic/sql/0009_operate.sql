-- What operators may do with tasks and runs, recorded: whoever calls, a node, one of the
-- release before, or a person in psql. Each locks one task or one run.
--
-- caller   who asks, as record_action() takes it; without it, as nodes of the release
--          before call, the record names the role that is connected.
drop function run_task(text);
drop function pause_task(text);
drop function resume_task(text, timestamptz);
drop function cancel_run(bigint);


-- run_task: makes a task due now, once.
--
-- Locks    the task.
-- Returns  due         it will start as soon as its owner sees it
--          running     it runs already; nothing changed
--          paused      resume it first; nothing changed
--          retired     no configuration names it; nothing changed
--          unknown     there is no such task
create function run_task(task_name text, caller jsonb default null)
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


-- pause_task: no new runs until resumed; a running one goes on.
-- Returns whether there is such a task.
create function pause_task(task_name text, caller jsonb default null)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    is_known boolean;
begin
    update tasks as t
       set paused = true
     where t.name = pause_task.task_name
       and not t.paused;
    is_known := exists (select from tasks as t where t.name = pause_task.task_name);

    perform record_action('task.pause', pause_task.task_name,
                          case when is_known then 'paused' else 'unknown' end, pause_task.caller);
    return is_known;
end;
$$;


-- resume_task: takes up the schedule again at new_next; the ticks that passed
-- meanwhile were not missed but unwanted. Null leaves the next time as it is.
-- Returns whether there is such a task.
create function resume_task(task_name text, new_next timestamptz, caller jsonb default null)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    is_known boolean;
begin
    update tasks as t
       set paused = false,
           next_run_at = coalesce(resume_task.new_next, t.next_run_at)
     where t.name = resume_task.task_name
       and t.paused;
    is_known := exists (select from tasks as t where t.name = resume_task.task_name);

    perform record_action('task.resume', resume_task.task_name,
                          case when is_known then 'resumed' else 'unknown' end, resume_task.caller);
    return is_known;
end;
$$;


-- cancel_run: asks the holder of a run to stop it; it hears of it at once, and
-- if that was lost with its next heartbeat.
--
-- Returns  requested   the holder will be told
--          ended       the run had ended before
--          unknown     there is no such run
create function cancel_run(run_id bigint, caller jsonb default null)
returns text
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    run     runs%rowtype;
    outcome text := 'requested';
begin
    select r.*
      into run
      from runs as r
     where r.id = cancel_run.run_id
       for no key update;

    if not found then
        outcome := 'unknown';
    elsif run.status <> 'running' then
        outcome := 'ended';
    else
        update runs as r
           set cancel_requested_at = coalesce(r.cancel_requested_at, clock_timestamp())
         where r.id = run.id;
        perform pg_notify('task_wakeups', run.task_name);
    end if;

    perform record_action('run.cancel', cancel_run.run_id::text, outcome, cancel_run.caller);
    return outcome;
end;
$$;

-- What operators may do with tasks and runs. Each locks one task or one run.

-- run_task: makes a task due now, once.
--
-- Returns  due         it will start as soon as its owner sees it
--          running     it runs already; nothing changed
--          paused      resume it first; nothing changed
--          unknown     there is no such task
create function run_task(task_name text)
returns text
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    task tasks%rowtype;
begin
    select t.*
      into task
      from tasks as t
     where t.name = run_task.task_name
       for update;

    if not found then
        return 'unknown';
    elsif task.paused then
        return 'paused';
    elsif exists (select from runs as r where r.task_name = task.name and r.status = 'running') then
        return 'running';
    end if;

    -- A retry or a lost run that waits for its time is brought forward and stays
    -- what it is, so that its successor is still known.
    update tasks as t
       set due_at = least(t.due_at, clock_timestamp()),
           due_trigger = coalesce(t.due_trigger, 'manual')
     where t.name = task.name;
    perform pg_notify('task_wakeups', task.name);
    return 'due';
end;
$$;


-- pause_task: no new runs until resumed; a running one goes on.
-- Returns whether there is such a task.
create function pause_task(task_name text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update tasks as t
       set paused = true
     where t.name = pause_task.task_name
       and not t.paused;
    return exists (select from tasks as t where t.name = pause_task.task_name);
end;
$$;


-- resume_task: takes up the schedule again at new_next; the ticks that passed
-- meanwhile were not missed but unwanted. Null leaves the next time as it is.
-- Returns whether there is such a task.
create function resume_task(task_name text, new_next timestamptz)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update tasks as t
       set paused = false,
           next_run_at = coalesce(resume_task.new_next, t.next_run_at)
     where t.name = resume_task.task_name
       and t.paused;
    return exists (select from tasks as t where t.name = resume_task.task_name);
end;
$$;


-- cancel_run: asks the holder of a run to stop it; it hears of it at once, and
-- if that was lost with its next heartbeat.
--
-- Returns  requested   the holder will be told
--          ended       the run had ended before
--          unknown     there is no such run
create function cancel_run(run_id bigint)
returns text
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    run runs%rowtype;
begin
    select r.*
      into run
      from runs as r
     where r.id = cancel_run.run_id
       for no key update;

    if not found then
        return 'unknown';
    elsif run.status <> 'running' then
        return 'ended';
    end if;

    update runs as r
       set cancel_requested_at = coalesce(r.cancel_requested_at, clock_timestamp())
     where r.id = run.id;
    perform pg_notify('task_wakeups', run.task_name);
    return 'requested';
end;
$$;

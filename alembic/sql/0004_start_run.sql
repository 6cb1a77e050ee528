-- start_run: the one way in which a run begins; every rule is checked here, in one
-- transaction, on the database's clock.
--
-- expected_next, new_next   compare-and-set on the schedule, whose arithmetic is
--          the caller's: a tick is consumed once, whoever tries. A run that is due
--          out of turn (due_at) leaves the schedule alone.
-- Locks    the node with KEY SHARE, so that nobody ends it between the look at
--          its lease and the commit; then the task.
-- Returns  the run's id, which is its fencing token; or null and the reason:
--            lease_lost       not a live member, or its lease has passed
--            unknown_task     no such task, it is retired, or the node does not know it
--            paused           an operator stopped it
--            already_running  it runs somewhere
--            moved            its schedule was advanced by somebody else
--            not_due          it is not time
-- Errors   23505 one_running_run_per_task   the index's last word; as already_running
create or replace function start_run(
    task_name text, node_name text, incarnation bigint, expected_next timestamptz, new_next timestamptz
)
returns table (run_id bigint, reason text, trigger text, scheduled_for timestamptz, attempt integer)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    node        nodes%rowtype;
    task        tasks%rowtype;
    predecessor bigint;
begin
    select n.*
      into node
      from nodes as n
     where n.name = start_run.node_name
       and n.incarnation = start_run.incarnation
       and n.state = 'live'
       for key share;

    -- The lease is compared after the lock was got: it may pass while we wait.
    if not found or node.lease_expires_at <= clock_timestamp() then
        reason := 'lease_lost';
        return next;
        return;
    end if;

    select t.*
      into task
      from tasks as t
     where t.name = start_run.task_name
       for update;

    reason := case
        when not found or task.retired_at is not null or not task.name = any (node.tasks) then 'unknown_task'
        when task.paused then 'paused'
        when exists (select from runs as r where r.task_name = task.name and r.status = 'running')
            then 'already_running'
        when task.due_at <= clock_timestamp() then null
        when task.next_run_at <> start_run.expected_next then 'moved'
        when task.next_run_at > clock_timestamp() then 'not_due'
    end;
    if reason is not null then
        return next;
        return;
    end if;

    if task.due_at <= clock_timestamp() then
        trigger := task.due_trigger;
        scheduled_for := task.due_at;
        attempt := task.due_attempt;
        predecessor := task.due_run_id;
        update tasks as t
           set due_at = null,
               due_trigger = null,
               due_run_id = null,
               due_attempt = 1
         where t.name = task.name;
    else
        trigger := 'schedule';
        scheduled_for := task.next_run_at;
        attempt := 1;
        update tasks as t
           set next_run_at = start_run.new_next
         where t.name = task.name;
    end if;

    insert into runs as r
           (task_name, node_name, incarnation, status, trigger, scheduled_for, started_at, attempt, predecessor_id)
    values (task.name, start_run.node_name, start_run.incarnation, 'running', start_run.trigger,
            start_run.scheduled_for, clock_timestamp(), start_run.attempt, predecessor)
 returning r.id into start_run.run_id;

    return next;
end;
$$;


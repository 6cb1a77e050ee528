-- bury_nodes: takes everything away from nodes that may hold nothing any more.
-- Internal: sweep() and declare_dead() decide; this does it.
--
-- Locks    the caller holds FOR UPDATE on the nodes' rows; then tasks by name,
--          then runs by id. FOR UPDATE, and not a plain UPDATE, since start_run()
--          relies on the row with KEY SHARE, which a plain update lets pass.
-- Losses   the first loss of a task is due at once, the second after a pause that
--          doubles; the third in a row is failed until the task's next time, so
--          that one bad job doesn't walk through all nodes and end each.
-- Returns  the runs that were taken away.
create function bury_nodes(dead_nodes text[], reason text)
returns bigint[]
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    losses_max   constant integer := 3;
    pause        constant interval := interval '10 seconds';
    moment       timestamptz;
    lost_run     record;
    taken        bigint[] := '{}';
begin
    update nodes as n
       set state = 'dead'
     where n.name = any (dead_nodes);

    perform t.name
       from tasks as t
      where t.name in (select r.task_name from runs as r where r.node_name = any (dead_nodes) and r.status = 'running')
      order by t.name
        for update;

    moment := clock_timestamp();

    for lost_run in
        select r.id, r.task_name, r.node_name, r.attempt, r.cancel_requested_at, coalesce(t.losses, 0) + 1 as losses
          from runs as r
          left join tasks as t on t.name = r.task_name
         where r.node_name = any (dead_nodes)
           and r.status = 'running'
         order by r.id
           for update of r
    loop
        update runs as r
           set status = case
                   when lost_run.cancel_requested_at is not null then 'cancelled'
                   when lost_run.losses >= losses_max then 'failed'
                   else 'lost'
               end,
               finished_at = moment,
               error = format('%s died while it ran this task: %s', lost_run.node_name, reason)
                       || case when lost_run.losses >= losses_max
                               then format(' (loss %s in a row, so it waits for its next time)', lost_run.losses)
                               else '' end
         where r.id = lost_run.id;

        -- A run that an operator had cancelled has got what was asked for.
        update tasks as t
           set losses = case
                   when lost_run.cancel_requested_at is not null or lost_run.losses >= losses_max then 0
                   else lost_run.losses
               end,
               due_at = case
                   when lost_run.cancel_requested_at is not null or lost_run.losses >= losses_max then t.due_at
                   when lost_run.losses = 1 then moment
                   else moment + pause * (2 ^ (lost_run.losses - 2))
               end,
               due_trigger = case
                   when lost_run.cancel_requested_at is not null or lost_run.losses >= losses_max then t.due_trigger
                   else 'lost'
               end,
               due_run_id = case
                   when lost_run.cancel_requested_at is not null or lost_run.losses >= losses_max then t.due_run_id
                   else lost_run.id
               end,
               due_attempt = lost_run.attempt + 1
         where t.name = lost_run.task_name;

        taken := taken || lost_run.id;
    end loop;

    return taken;
end;
$$;

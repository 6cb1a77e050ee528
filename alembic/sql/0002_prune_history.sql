-- prune_history: deletes old history, a limited number of rows in one call.
--
-- keep       how long finished runs and events are kept.
-- rows_max   the most rows of each kind that one call deletes, so that it holds
--            no lock for long; call again until it returns zeros.
-- Stays      what runs now, and each task's newest finished run: somebody who asks
--            when a yearly task ran last gets an answer.
-- Locks      finished runs and old events that nobody else has locked; dead nodes
--            that were dead for as long.
create function prune_history(keep interval, rows_max integer)
returns table (runs_deleted integer, events_deleted integer, nodes_deleted integer)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    horizon timestamptz := clock_timestamp() - prune_history.keep;
begin
    delete from nodes as n
     where n.state = 'dead'
       and n.lease_expires_at < horizon;
    get diagnostics nodes_deleted = row_count;

    delete from runs as r
     where r.id in (
               select old.id
                 from runs as old
                where old.finished_at < horizon
                  and exists (
                          select
                            from runs as newer
                           where newer.task_name = old.task_name
                             and newer.id > old.id
                             and newer.status <> 'running'
                      )
                order by old.finished_at
                limit rows_max
                  for update skip locked
           );
    get diagnostics runs_deleted = row_count;

    -- The newest event of all stays: its id says where the stream has come to.
    delete from events as e
     where e.id in (
               select old.id
                 from events as old
                where old.at < horizon
                  and old.id < (select max(newest.id) from events as newest)
                  and old.id < (select max(newest.id) from events as newest where newest.channel = 'node_events')
                order by old.id
                limit rows_max
                  for update skip locked
           );
    get diagnostics events_deleted = row_count;

    return next;
end;
$$;

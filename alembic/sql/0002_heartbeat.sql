-- heartbeat: renews a node's lease, and tells the node what it must know.
--
-- Locks      the node's own row, in a mode that start_run()'s KEY SHARE lets pass.
-- Renewed    only if the incarnation is current, the node is not dead and the
--            lease has not passed: a lease that ended is never brought back.
-- membership the id of the newest event about nodes: it changes with every change
--            of membership, so that a lost notification costs a heartbeat.
-- runs       what the database believes that this incarnation runs.
-- cancels    those of them that an operator asked to cancel.
-- expired    whether a lease has passed that sweep() would end.
create function heartbeat(name text, incarnation bigint)
returns table (
    renewed boolean, clock timestamptz, server_started timestamptz, timeline text,
    membership bigint, runs bigint[], cancels bigint[], expired boolean
)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update nodes as n
       set heartbeat_at = clock_timestamp(),
           lease_expires_at = clock_timestamp() + n.ttl
     where n.name = heartbeat.name
       and n.incarnation = heartbeat.incarnation
       and n.state <> 'dead'
       and n.lease_expires_at > clock_timestamp();
    renewed := found;

    select c.clock, c.server_started, c.timeline
      into heartbeat.clock, heartbeat.server_started, heartbeat.timeline
      from cluster_clock() as c;

    select coalesce(max(e.id), 0)
      into heartbeat.membership
      from events as e
     where e.channel = 'node_events';

    select coalesce(array_agg(r.id order by r.id), '{}'),
           coalesce(array_agg(r.id order by r.id) filter (where r.cancel_requested_at is not null), '{}')
      into heartbeat.runs, heartbeat.cancels
      from runs as r
     where r.node_name = heartbeat.name
       and r.incarnation = heartbeat.incarnation
       and r.status = 'running';

    expired := exists (
        select
          from nodes as n
         where n.state <> 'dead'
           and n.lease_expires_at < clock_timestamp()
    );

    return next;
end;
$$;

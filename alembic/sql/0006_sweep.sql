-- The one before judged by the database's clock alone, wherever it had stepped to.
drop function sweep();


-- sweep: ends the nodes whose lease has passed.
--
-- Caller   a node that has watched the database's clock for one ttl (docs: the
--          lease protocol); the function itself can't know that.
-- clock_max  what the clock may show by now if it went on as it was watched. It may
--          have stepped since the caller's last look, or the caller slept: past that
--          moment nothing is judged. A clock that is behind only lets leases look longer.
-- Locks    nodes by name, those that nobody else is burying (SKIP LOCKED).
-- Returns  each node that was ended, and the runs taken from all of them.
-- Default  nodes of the release before call it without an argument, and judge as they did.
create function sweep(clock_max timestamptz default 'infinity')
returns table (dead_nodes text[], lost_runs bigint[])
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    moment timestamptz := clock_timestamp();
begin
    select coalesce(array_agg(expired.name), '{}')
      into sweep.dead_nodes
      from (
          select n.name
            from nodes as n
           where n.state <> 'dead'
             and n.lease_expires_at < moment
             and moment <= sweep.clock_max
           order by n.name
             for update skip locked
      ) as expired;

    lost_runs := case
        when dead_nodes = '{}' then '{}'
        else bury_nodes(dead_nodes, 'its lease passed')
    end;
    return next;
end;
$$;

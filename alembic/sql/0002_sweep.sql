-- sweep: ends the nodes whose lease has passed.
--
-- Caller   a node that has watched the database's clock for one ttl (docs: the
--          lease protocol); the function itself can't know that.
-- Locks    nodes by name, those that nobody else is burying (SKIP LOCKED).
-- Returns  each node that was ended, and the runs taken from all of them.
create function sweep()
returns table (dead_nodes text[], lost_runs bigint[])
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    select coalesce(array_agg(expired.name), '{}')
      into sweep.dead_nodes
      from (
          select n.name
            from nodes as n
           where n.state <> 'dead'
             and n.lease_expires_at < clock_timestamp()
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


-- declare_dead: ends one incarnation whose death was proven.
--
-- Proof    the caller got the lock that every process of that incarnation holds
--          while it lives, or it is that incarnation's own process and has ended
--          all its runs. No lease is judged here.
-- Locks    the node's row, then as bury_nodes().
-- Returns  the runs that were taken away; null if that incarnation is not there
--          any more or was dead before.
create function declare_dead(name text, incarnation bigint, reason text)
returns bigint[]
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform
       from nodes as n
      where n.name = declare_dead.name
        and n.incarnation = declare_dead.incarnation
        and n.state <> 'dead'
        for update;

    if not found then
        return null;
    end if;
    return bury_nodes(array[declare_dead.name], declare_dead.reason);
end;
$$;

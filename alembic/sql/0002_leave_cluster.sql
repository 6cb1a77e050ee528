-- drain_node: no new runs; heartbeats go on, and running runs keep their lease.
create function drain_node(name text, incarnation bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform
       from nodes as n
      where n.name = drain_node.name
        and n.incarnation = drain_node.incarnation
        and n.state = 'live'
        for update;

    update nodes as n
       set state = 'draining'
     where n.name = drain_node.name
       and n.incarnation = drain_node.incarnation
       and n.state = 'live';
    return found;
end;
$$;


-- leave_cluster: takes a node off the list when its last run has ended.
--
-- Locks    the node's row, then as bury_nodes(): a run that is still recorded (its
--          ending could not be told) is given away like a dead node's.
-- Returns  whether this incarnation was a member.
create function leave_cluster(name text, incarnation bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform
       from nodes as n
      where n.name = leave_cluster.name
        and n.incarnation = leave_cluster.incarnation
        and n.state <> 'dead'
        for update;

    if not found then
        return false;
    end if;

    if exists (select from runs as r where r.node_name = leave_cluster.name and r.status = 'running') then
        perform bury_nodes(array[leave_cluster.name], 'it left before it could tell the ending');
        return true;
    end if;

    delete from nodes as n
     where n.name = leave_cluster.name
       and n.incarnation = leave_cluster.incarnation;
    return true;
end;
$$;

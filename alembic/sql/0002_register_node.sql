-- register_node: makes a node a member, under a new incarnation.
--
-- Locks    the node's own row.
-- Repeat   each success is a new incarnation.
-- Returns  the incarnation; or null and who holds the name, when a member of that
--          name is not dead. The caller then proves the holder's death or waits
--          for its lease; nothing is taken away here.
-- Errors   23514 node_name_short, node_ttl_positive
create function register_node(
    name text, host text, pid integer, url text, version text, tasks text[], ttl interval,
    boot_id text, lock_path text, lock_dev bigint, lock_ino bigint
)
returns table (
    incarnation bigint, holder_incarnation bigint, holder_host text, holder_pid integer,
    holder_heartbeat_at timestamptz, holder_lease interval
)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    moment timestamptz := clock_timestamp();
begin
    insert into nodes as n
           (name, incarnation, host, pid, url, version, state, tasks, ttl,
            boot_id, lock_path, lock_dev, lock_ino, started_at, heartbeat_at, lease_expires_at)
    values (register_node.name, nextval('incarnations'), register_node.host, register_node.pid,
            register_node.url, register_node.version, 'live', register_node.tasks, register_node.ttl,
            register_node.boot_id, register_node.lock_path, register_node.lock_dev, register_node.lock_ino,
            moment, moment, moment + register_node.ttl)
        on conflict on constraint nodes_pkey do update
       set incarnation = excluded.incarnation,
           host = excluded.host,
           pid = excluded.pid,
           url = excluded.url,
           version = excluded.version,
           state = excluded.state,
           tasks = excluded.tasks,
           ttl = excluded.ttl,
           boot_id = excluded.boot_id,
           lock_path = excluded.lock_path,
           lock_dev = excluded.lock_dev,
           lock_ino = excluded.lock_ino,
           started_at = excluded.started_at,
           heartbeat_at = excluded.heartbeat_at,
           lease_expires_at = clock_timestamp() + excluded.ttl
     where n.state = 'dead'
 returning n.incarnation into register_node.incarnation;

    if not found then
        select n.incarnation, n.host, n.pid, n.heartbeat_at, n.lease_expires_at - clock_timestamp()
          into holder_incarnation, holder_host, holder_pid, holder_heartbeat_at, holder_lease
          from nodes as n
         where n.name = register_node.name;
    end if;

    return next;
end;
$$;

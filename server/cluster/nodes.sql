-- Statements of the cluster's members. The rules are in the functions that they call.

-- name: register
select *
  from register_node(
           %(name)s, %(host)s, %(pid)s, %(url)s, %(version)s, %(tasks)s, make_interval(secs => %(ttl_seconds)s),
           %(boot_id)s, %(lock_path)s, %(lock_device)s, %(lock_inode)s
       );

-- name: heartbeat
select *
  from heartbeat(%(name)s, %(incarnation)s);

-- name: sweep
select *
  from sweep(%(clock_max)s);

-- name: declare_dead
select declare_dead(%(name)s, %(incarnation)s, %(reason)s) as runs;

-- name: drain
select drain_node(%(name)s, %(incarnation)s);

-- name: leave
select leave_cluster(%(name)s, %(incarnation)s);

-- name: clock
select *
  from cluster_clock();

-- name: members
-- Everybody who is not dead, with what a peer needs to hash tasks and to prove a
-- death; version is the newest change that this very reading contains.
select v.version,
       n.name,
       n.incarnation,
       n.state,
       n.tasks,
       n.boot_id,
       n.lock_path,
       n.lock_dev,
       n.lock_ino,
       n.heartbeat_at,
       extract(epoch from clock_timestamp() - n.started_at)::float8 as age_seconds
  from nodes as n
 cross join (
     select coalesce(max(e.id), 0) as version
       from events as e
      where e.channel = 'node_events'
 ) as v
 where n.state <> 'dead'
 order by n.name;

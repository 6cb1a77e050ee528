-- Statements of the cluster's members. The rules are in the functions that they call.
-- Columns by their names, so that a later migration may let a function tell more.

-- name: register
select r.incarnation,
       r.holder_incarnation,
       r.holder_host,
       r.holder_pid,
       r.holder_heartbeat_at,
       r.holder_lease
  from register_node(
           %(name)s, %(host)s, %(pid)s, %(url)s, %(version)s, %(tasks)s, make_interval(secs => %(ttl_seconds)s),
           %(boot_id)s, %(lock_path)s, %(lock_device)s, %(lock_inode)s
       ) as r;

-- name: heartbeat
select h.renewed,
       h.clock,
       h.server_started,
       h.timeline,
       h.membership,
       h.runs,
       h.cancels,
       h.expired
  from heartbeat(%(name)s, %(incarnation)s) as h;

-- name: sweep
-- Only on the server that was watched: behind a pooler a statement may reach another one
-- than the statement before it.
select s.dead_nodes,
       s.lost_runs
  from cluster_clock() as c
 cross join lateral sweep(
           case
               when c.server_started = %(server_started)s
                    and c.timeline is not distinct from %(timeline)s::text
               then %(clock_max)s::timestamptz
               else '-infinity'
           end
       ) as s;

-- name: declare_dead
select declare_dead(%(name)s, %(incarnation)s, %(reason)s) as runs;

-- name: drain
select drain_node(%(name)s, %(incarnation)s);

-- name: leave
select leave_cluster(%(name)s, %(incarnation)s);

-- name: clock
select c.clock,
       c.server_started,
       c.timeline
  from cluster_clock() as c;

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

-- name: state
-- What the table says of one node; no row where it never joined.
select n.state
  from nodes as n
 where n.name = %(name)s;

-- name: leases_of
-- Who holds these names by a lease that has not passed.
select n.name,
       n.host,
       n.incarnation,
       extract(epoch from n.lease_expires_at)::float8 as lease_ends
  from nodes as n
 where n.name = any(%(names)s)
   and n.state <> 'dead'
   and n.lease_expires_at > clock_timestamp()
 order by n.name;

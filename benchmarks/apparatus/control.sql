-- What control_plane.py does itself.

-- name: define
-- The tasks that the light nodes run, each first due at a moment of its own within one period.
select define_tasks((
           select jsonb_agg(
                      jsonb_build_object(
                          'name', 'task-' || lpad(n::text, 4, '0'), 'function', 'm:f', 'schedule', 'light',
                          'definition', '{}'::jsonb, 'hash', 'light', 'revision', 1, 'paused', false,
                          'firstRunAt', null,
                          'nextRunAt', clock_timestamp() + make_interval(secs => %(period_seconds)s * n / %(tasks)s::float8)
                      )
                  )
             from generate_series(0, %(tasks)s::integer - 1) as n
       ));

-- name: join
-- One more member, who knows nothing; the version of the membership that contains it.
select r.incarnation
  from register_node('newcomer', 'light', 1, 'http://127.0.0.1:1', '0', '{}', interval '1 h', 'none', '/x', 1, 1) as r;

-- name: leave
-- It goes again.
select leave_cluster('newcomer', %(incarnation)s);

-- name: version
-- The membership's newest.
select max(e.id)
  from events as e
 where e.channel = 'node_events';

-- name: log
-- Bytes of the write-ahead log since the server was made.
select (pg_current_wal_lsn() - '0/0')::bigint;

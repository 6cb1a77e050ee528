-- What the pruning of history asks. The functions say what stays.

-- name: tasks
-- Every task, the retired ones too: their history is kept like any other.
select t.name
  from tasks as t
 order by t.name;

-- name: prune_runs_by_age
-- Deletes one batch of finished runs of a status that are older than their retention.
select prune_runs_by_age(%(status)s, make_interval(secs => %(keep_seconds)s), %(rows_max)s) as deleted;

-- name: prune_runs_by_count
-- Deletes one batch of what a task has beyond its newest so many.
select prune_runs_by_count(%(task)s, %(keep)s, %(rows_max)s) as deleted;

-- name: prune_events
-- Deletes one batch of events that are older than their retention, or too many.
select prune_events(make_interval(secs => %(keep_seconds)s), %(keep_events)s, %(rows_max)s) as deleted;

-- name: prune_nodes
-- Deletes the rows of nodes that have been dead for longer than their retention.
select prune_nodes(make_interval(secs => %(keep_seconds)s)) as deleted;

-- name: prune_audit
-- Deletes one batch of lines of the audit record that are older than their retention.
select prune_audit(make_interval(secs => %(keep_seconds)s), %(rows_max)s) as deleted;

-- name: prune_keys
-- Deletes one batch of idempotency keys that are older than their retention.
select prune_idempotency_keys(make_interval(secs => %(keep_seconds)s), %(rows_max)s) as deleted;

-- name: oldest
-- How far back the history goes. Read from the ends of two indexes: counting a history
-- costs more than all else that is done with it.
select (select min(r.finished_at) from runs as r) as run_finished_at,
       (select e.at from events as e order by e.id limit 1) as event_at;

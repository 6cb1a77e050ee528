-- What the pruning of history asks.

-- name: prune
-- Deletes one batch of old history; see prune_history.sql for what stays.
select p.runs_deleted,
       p.events_deleted,
       p.nodes_deleted
  from prune_history(make_interval(secs => %(keep_seconds)s), %(rows_max)s) as p;

-- name: prune_keys
-- Deletes one batch of idempotency keys that are older than their retention.
select prune_idempotency_keys(make_interval(secs => %(keep_seconds)s), %(rows_max)s) as keys_deleted;

-- name: oldest
-- How far back the history goes. Read from the ends of two indexes: counting a history
-- costs more than all else that is done with it.
select (select min(r.finished_at) from runs as r) as run_finished_at,
       (select e.at from events as e order by e.id limit 1) as event_at;

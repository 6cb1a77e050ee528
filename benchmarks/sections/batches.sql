-- Batches in one call, as the benchmark makes them without a server between.

-- name: post_batch
-- Ringfence's own.
select *
  from post_batch(%(user_ids)s::bigint[], %(amounts)s::bigint[], %(request_ids)s::uuid[]);

-- name: guarded_batch
-- The one that guards each item by itself.
select *
  from guarded_batch(%(user_ids)s::bigint[], %(amounts)s::bigint[], %(request_ids)s::uuid[]);

-- name: count_entries
-- How far the ledger has grown.
select count(*)
  from entries;

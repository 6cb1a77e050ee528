-- What moves money. The rules are in the functions themselves (alembic/sql); each
-- statement here is one transaction. Columns stand in the order of Posted.

-- name: withdraw
-- Takes money out of one account, once for each request id.
select moved.balance, moved.entry_id
  from withdraw(%(user_id)s::bigint, %(amount)s::bigint, %(id)s::uuid) as moved;

-- name: deposit
-- Puts money into one account, once for each request id.
select moved.balance, moved.entry_id
  from deposit(%(user_id)s::bigint, %(amount)s::bigint, %(id)s::uuid) as moved;

-- name: post_batch
-- What a crowd of requests wants, each with its own outcome.
select b.outcome, b.balance, b.entry_id, b.replayed, b.request_id::text
  from post_batch(
           %(user_ids)s::bigint[], %(amounts)s::bigint[], %(ids)s::uuid[],
           %(clients)s::text[], %(keys)s::text[], %(skip_locked)s::boolean
       ) as b
 order by b."position";

-- name: post_list
-- What one request wants, all of it in one transaction.
select b.outcome, b.balance, b.entry_id, b.replayed, b.request_id::text
  from post_list(
           %(user_ids)s::bigint[], %(amounts)s::bigint[], %(ids)s::uuid[],
           %(client)s::text, %(key)s::text, %(fingerprint)s::uuid, %(skip_locked)s::boolean
       ) as b
 order by b."position";

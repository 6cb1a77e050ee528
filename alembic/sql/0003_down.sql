-- The way back from 0003: the keys that were kept go, so a client that repeats a
-- request by its key alone is not recognised any more.
drop function prune_idempotency_keys(interval, integer);
drop function balance_at(bigint, timestamptz);
drop function open_account_once(bigint, uuid, text, text, integer);
drop function post_list(bigint[], bigint[], uuid[], text, text, uuid);
drop function post_batch(bigint[], bigint[], uuid[], text[], text[], boolean);
drop function lock_accounts(bigint[], boolean);
drop function check_batch(bigint[], bigint[], uuid[], text[], text[]);
drop table idempotency_keys;

-- idempotency_keys: the first outcome of each request that came with a key, kept in
-- the same transaction as its effect.
--
-- Kept       every outcome that the database decides, refusals and unknown users
--            too: a refusal that was forgotten could succeed at the next attempt.
--            The answer is a pure function of the row, so no body is stored.
-- Units      amount is signed minor units, as in entries; operation is its sign.
-- Lists      operation 'withdrawals' is a list of them, decided as one: then
--            request_id is the fingerprint of the list, and its outcomes, balances
--            and entry_ids stand in its order in place of the single ones.
-- Accounts   operation 'open_account' made one: then balance is its opening balance,
--            and the entry of that request_id tells which.
-- client     who chose the key; '' as long as there are no tokens.
-- Counts     until the row is pruned (prune_idempotency_keys), not until an age.
-- Collation  "C": keys are ASCII, and one order for everybody is what keeps
--            two batches from deadlocking on each other's keys.
-- Rows are written once, by post_batch(), post_list() and open_account_once(), and
-- never changed.
create table idempotency_keys (
    client     text collate "C" not null,
    key        text collate "C" not null,
    operation  text not null,
    user_id    bigint,
    amount     bigint,
    request_id uuid not null,
    outcome    text,
    balance    bigint,
    entry_id   bigint,
    outcomes   text[],
    balances   bigint[],
    entry_ids  bigint[],
    created_at timestamptz not null,

    constraint one_outcome_per_key primary key (client, key),
    constraint idempotency_client_short check (length(client) <= 255),
    constraint idempotency_key_short check (length(key) between 1 and 255),
    constraint idempotency_operation_is_the_sign check
        (case when amount is null
              then operation in ('withdrawals', 'open_account')
              else amount <> 0 and operation = case when amount < 0 then 'withdraw' else 'deposit' end
         end),
    constraint idempotency_one_movement_or_a_list check
        (case operation
              when 'withdrawals'
              then num_nonnulls(user_id, amount, outcome, balance, entry_id) = 0
                   and num_nulls(outcomes, balances, entry_ids) = 0
              when 'open_account'
              then num_nonnulls(user_id, amount, outcome, entry_id, outcomes, balances, entry_ids) = 0
                   and balance is not null
              else num_nulls(user_id, amount, outcome) = 0
                   and num_nonnulls(outcomes, balances, entry_ids) = 0
         end),
    constraint idempotency_outcome_known check (outcome in
        ('posted', 'insufficient_funds', 'balance_limit', 'user_not_found', 'request_id_reused')),
    constraint idempotency_entry_if_posted check ((outcome = 'posted') = (entry_id is not null))
);

create index idempotency_keys_by_age on idempotency_keys (created_at);

comment on table idempotency_keys is 'First outcomes of requests with an Idempotency-Key.';

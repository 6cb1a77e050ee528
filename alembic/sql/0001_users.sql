-- users: one row an account; the balance and the two rules that it can't break.
--
-- Units       balance is a whole number of minor units (cents, say).
-- Updates     fillfactor 50 and no index on balance keep every movement a HOT
--             update: a hot account must not grow an index with each withdrawal.
-- Upper rule  9007199254740991 is 2^53 - 1, the largest integer that every JSON
--             client reads back digit for digit.
create table users (
    id      bigint generated always as identity,
    balance bigint not null,

    constraint users_pkey primary key (id),
    constraint balance_not_negative check (balance >= 0),
    constraint balance_within_json_integers check (balance <= 9007199254740991)
) with (fillfactor = 50);

comment on table users is 'Accounts. Change balances with withdraw() and deposit() only.';

-- What the bank asks of the database. The rules are in the functions themselves
-- (alembic/sql); each statement here is one transaction.

-- name: open_account
-- Makes an account with its opening entry.
select open_account(%(balance)s::bigint, %(request_id)s::uuid) as user_id;

-- name: account
-- One account.
select u.id, u.balance
  from users as u
 where u.id = %(user_id)s::bigint;

-- name: balance_at
-- What one account's balance was at a moment, which is told as it was understood.
select %(moment)s::timestamptz > clock_timestamp() as is_future,
       b.balance,
       to_char(%(moment)s::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as moment
  from (values (1)) as one (row)
  left join balance_at(%(user_id)s::bigint, %(moment)s::timestamptz) as b on true;

-- name: newest_entries
-- The newest lines of one account's ledger.
select e.id, e.user_id, e.amount, e.balance_after, e.request_id,
       to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at
  from entries as e
 where e.user_id = %(user_id)s::bigint
 order by e.id desc
 limit %(limit)s::bigint;

-- name: entries_before
-- The lines of one account's ledger that are older than a given one, newest first.
select e.id, e.user_id, e.amount, e.balance_after, e.request_id,
       to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at
  from entries as e
 where e.user_id = %(user_id)s::bigint
   and e.id < %(before)s::bigint
 order by e.id desc
 limit %(limit)s::bigint;

-- name: movement
-- The line of the ledger that a request id left.
select e.id, e.user_id, e.amount, e.balance_after, e.request_id,
       to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at
  from entries as e
 where e.request_id = %(request_id)s::uuid;

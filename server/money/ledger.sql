-- What the bank asks of the database. The rules are in the functions themselves
-- (alembic/sql); each statement here is one transaction.

-- name: open_account
-- Makes an account with its opening entry.
select open_account(%(balance)s::bigint, %(request_id)s::uuid) as user_id;

-- name: open_account_once
-- The same for a request with a key.
select opened.user_id, opened.outcome
  from open_account_once(
           %(balance)s::bigint, %(request_id)s::uuid, %(client)s::text, %(key)s::text, %(wait_ms)s::integer
       ) as opened;

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

-- name: check
-- Every balance beside the sum of its entries, in one snapshot; both directions, so
-- that entries without an account are found too.
with sums as (
    select e.user_id, sum(e.amount) as entries_sum, count(*) as entries
      from entries as e
     group by e.user_id
),
compared as (
    select coalesce(u.id, s.user_id) as user_id,
           u.balance,
           coalesce(s.entries_sum, 0) as entries_sum,
           coalesce(s.entries, 0) as entries,
           u.balance is distinct from coalesce(s.entries_sum, 0) as differs
      from users as u
      full join sums as s on s.user_id = u.id
)
select count(c.balance) as accounts,
       coalesce(sum(c.entries), 0)::bigint as entries,
       coalesce(sum(c.balance), 0)::text as balances_sum,
       coalesce(sum(c.entries_sum), 0)::text as entries_sum,
       count(*) filter (where c.differs) as differing,
       to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as checked_at,
       (
           select coalesce(
                      jsonb_agg(
                          jsonb_build_array(d.user_id, d.balance, d.entries_sum)
                          order by d.user_id
                      ),
                      '[]'
                  )
             from (
                      select named.user_id, named.balance, named.entries_sum
                        from compared as named
                       where named.differs
                       order by named.user_id
                       limit %(differences_max)s::bigint
                  ) as d
       ) as differences
  from compared as c;

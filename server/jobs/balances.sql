-- What the balance snapshot asks.

-- name: totals
-- All money there is, at one moment.
select clock_timestamp() as taken_at,
       count(*) as accounts,
       coalesce(sum(u.balance), 0) as total,
       count(*) filter (where u.balance = 0) as empty
  from users as u;

-- name: one_snapshot
-- Lets all further statements of the transaction see the same moment.
set transaction isolation level repeatable read, read only;

-- name: quantiles
-- Balances that exist, at the given shares of all accounts in order of balance.
select coalesce(
           percentile_disc(%(shares)s::double precision[]) within group (order by u.balance),
           '{}'
       ) as balances
  from users as u;

-- name: export
-- Every account and its balance, as CSV with a heading.
copy (
    select u.id, u.balance
      from users as u
     order by u.id
) to stdout with (format csv, header);

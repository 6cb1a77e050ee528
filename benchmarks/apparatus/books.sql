-- Accounts and their ledger, as the benchmark opens and checks them. The same words
-- fit Ringfence's schema and that of the peers.

-- name: open_account
-- One account with an opening balance.
select open_account(%(balance)s::bigint);

-- name: open_accounts
-- Many accounts; their ids.
select open_account(%(balance)s::bigint)
  from generate_series(1, %(count)s::bigint);

-- name: account
-- What is left of one account, the sum of its entries, and how many took money out.
select u.balance,
       (select sum(e.amount)::bigint from entries as e where e.user_id = u.id),
       (select count(*) from entries as e where e.user_id = u.id and e.amount < 0)
  from users as u
 where u.id = %(user_id)s::bigint;

-- name: taken
-- How many entries took money out, over all accounts.
select count(*)
  from entries as e
 where e.amount < 0;

-- name: differing
-- How many accounts differ from the sum of their entries.
select count(*)
  from users as u
  left join (select e.user_id, sum(e.amount) as total from entries as e group by e.user_id) as ledger
    on ledger.user_id = u.id
 where u.balance is distinct from ledger.total;

-- name: has_post_batch
-- Whether this release's schema knows batches.
select exists (select from pg_proc as p where p.proname = 'post_batch');

-- name: checkpoint
-- Everybody starts with the dirt of others written away.
checkpoint;

-- name: settle
-- New tables have no statistics, and nobody waits for the background to make them.
vacuum analyze users, entries;

-- name: server_version
-- For the report.
show server_version;

-- name: work
-- Transactions of this database, and bytes of the write-ahead log, since the server began.
select d.xact_commit + d.xact_rollback,
       (pg_current_wal_lsn() - '0/0')::bigint
  from pg_stat_database as d
 where d.datname = current_database();

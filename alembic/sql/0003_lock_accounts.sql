-- lock_accounts: locks accounts until commit, and reads their balances.
--
-- user_ids      in any order, repeated or unknown as they come.
-- skip_locked   leaves out the accounts that somebody else holds, rather than wait.
-- Locks         users rows, FOR NO KEY UPDATE, in id order: two batches that want
--               the same accounts can't each hold what the other waits for.
-- Returns       one row: the ids of the locked accounts, ascending, and beside them
--               their balances. What is neither there nor locked is left out.
-- Plans         are made under the settings that post_batch() pins; only it calls.
create function lock_accounts(user_ids bigint[], skip_locked boolean)
returns table (ids bigint[], balances bigint[])
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    -- Balances are read by the statement that locks, which gives each row as it
    -- was when the lock came; a look before would show it as it was while we waited.
    -- The aggregates take the rows in the order in which they are locked.
    if skip_locked then
        select coalesce(array_agg(held.id), '{}'), coalesce(array_agg(held.balance), '{}')
          into lock_accounts.ids, lock_accounts.balances
          from (
              select u.id, u.balance
                from users as u
               where u.id = any (user_ids)
               order by u.id
                 for no key update skip locked
          ) as held;
    else
        select coalesce(array_agg(held.id), '{}'), coalesce(array_agg(held.balance), '{}')
          into lock_accounts.ids, lock_accounts.balances
          from (
              select u.id, u.balance
                from users as u
               where u.id = any (user_ids)
               order by u.id
                 for no key update
          ) as held;
    end if;
    return next;
end;
$$;

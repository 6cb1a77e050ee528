-- prune_idempotency_keys: forgets the oldest keys, a limited number in one call.
--
-- keep       how long a key is kept at least.
-- rows_max   the most keys that one call deletes, so that it holds no lock for
--            long; call again until it returns less.
-- Locks      keys that nobody else has locked (SKIP LOCKED), so that two pruners
--            don't wait for each other.
-- Returns    how many were deleted.
-- Errors     22023 keep missing or negative, rows_max missing or below 1
create function prune_idempotency_keys(keep interval, rows_max integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
as $$
declare
    horizon timestamptz := clock_timestamp() - prune_idempotency_keys.keep;
    deleted integer;
begin
    if keep is null or keep < interval '0' or rows_max is null or rows_max < 1 then
        raise exception using
            errcode = '22023',
            message = 'prune_idempotency_keys() needs a time to keep of 0 or more and a number of rows of 1 or more';
    end if;

    -- By place, not by key: rows of this table never move, and a plan that was
    -- made while it was empty has nothing to choose.
    delete from idempotency_keys as k
     where k.ctid = any (array(
               select old.ctid
                 from idempotency_keys as old
                where old.created_at < horizon
                order by old.created_at
                limit rows_max
                  for update skip locked
           ));
    get diagnostics deleted = row_count;
    return deleted;
end;
$$;

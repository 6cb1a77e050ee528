-- prune_audit: deletes the oldest lines of the audit record, a limited number in one call.
--
-- keep       how long they are kept; 30 days or more.
-- rows_max   the most lines that one call deletes; call again until it returns less.
-- Locks      the lines that it deletes; what others have locked is passed by.
-- Returns    how many were deleted.
-- Errors     22023 keep missing or below 30 days, rows_max missing or below 1
create function prune_audit(keep interval, rows_max integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    deleted integer;
begin
    if keep is null or keep < interval '30 days' or rows_max is null or rows_max < 1 then
        raise exception using
            errcode = '22023',
            message = 'prune_audit() needs a time to keep of 30 days or more, and a number of rows of 1 or more';
    end if;

    delete from audit as a
     where a.id = any (array(
               select old.id
                 from audit as old
                where old.at < clock_timestamp() - prune_audit.keep
                order by old.at
                limit rows_max
                  for update skip locked
           ));
    get diagnostics deleted = row_count;
    return deleted;
end;
$$;

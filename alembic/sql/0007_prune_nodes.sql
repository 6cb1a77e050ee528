-- prune_nodes: deletes the rows of nodes that have been dead for long.
--
-- keep       how long they are kept after the end of their lease.
-- Locks      the rows that it deletes. They are few: one for each name that is no longer used.
-- Returns    how many were deleted.
-- Errors     22023 keep missing or negative
create function prune_nodes(keep interval)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    deleted integer;
begin
    if keep is null or keep < interval '0' then
        raise exception using
            errcode = '22023',
            message = 'prune_nodes() needs a time to keep of 0 or more';
    end if;

    delete from nodes as n
     where n.state = 'dead'
       and n.lease_expires_at < clock_timestamp() - prune_nodes.keep;
    get diagnostics deleted = row_count;
    return deleted;
end;
$$;

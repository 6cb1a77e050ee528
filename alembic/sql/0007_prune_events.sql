-- prune_events: deletes the oldest events, a limited number in one call.
--
-- keep        how long they are kept.
-- keep_rows   how many are kept at most. Told by their ids, so numbers that nobody used
--             count too; counting the rows would cost a walk over all of them.
-- rows_max    the most events that one call looks at and deletes; call again until it
--             returns less.
-- Stays       the newest of all and the newest of nodes: their ids say where the stream
--             has come to, and which version the membership has.
-- Order       ids and times of events grow together, so the oldest go first, and the
--             first that stays ends the call. (A walk that went on to the end for what
--             else might be old read ten million events each time.)
-- Locks       the events that it deletes; what others have locked is passed by.
-- Returns     how many were deleted.
-- Errors      22023 keep missing or negative, keep_rows or rows_max missing or below 1
create function prune_events(keep interval, keep_rows bigint, rows_max integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    horizon timestamptz := clock_timestamp() - prune_events.keep;
    newest  bigint;
    stays   bigint; -- the first that is kept whatever its age
    deleted integer;
begin
    if keep is null or keep < interval '0' or keep_rows is null or keep_rows < 1
       or rows_max is null or rows_max < 1 then
        raise exception using
            errcode = '22023',
            message = 'prune_events() needs a time to keep of 0 or more, and numbers of rows of 1 or more';
    end if;

    select max(e.id)
      into newest
      from events as e;

    select least(newest, max(e.id))
      into stays
      from events as e
     where e.channel = 'node_events';

    delete from events as e
     where e.id = any (array(
               select oldest.id
                 from (
                          select old.id, old.at
                            from events as old
                           where old.id < stays
                           order by old.id
                           limit rows_max
                             for update skip locked
                      ) as oldest
                where oldest.at < horizon
                   or oldest.id <= newest - keep_rows
           ));
    get diagnostics deleted = row_count;
    return deleted;
end;
$$;

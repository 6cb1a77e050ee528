-- prune_runs_by_age: deletes the oldest finished runs of one status, a limited number
-- in one call.
--
-- keep       how long they are kept after their end.
-- rows_max   the most runs that one call deletes, so that it holds no lock for long;
--            call again until it returns less.
-- Stays      each task's newest finished run: somebody who asks when a yearly task ran
--            last gets an answer.
-- Newer      is asked by task and id as one: by the id alone a task that has gone would be
--            sought through all that came after it.
-- Cost       a walk over the index by status and start, from its old end to what is
--            kept; what ended late though it began early is looked at each time.
-- Locks      the runs that it deletes; what others have locked is passed by.
-- Returns    how many were deleted.
-- Errors     22023 keep missing or negative, rows_max missing or below 1
create or replace function prune_runs_by_age(status text, keep interval, rows_max integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    horizon timestamptz := clock_timestamp() - prune_runs_by_age.keep;
    deleted integer;
begin
    if keep is null or keep < interval '0' or rows_max is null or rows_max < 1 then
        raise exception using
            errcode = '22023',
            message = 'prune_runs_by_age() needs a time to keep of 0 or more and a number of rows of 1 or more';
    end if;

    delete from runs as r
     where r.id = any (array(
               select old.id
                 from runs as old
                where old.status = prune_runs_by_age.status
                  and old.started_at < horizon
                  and old.finished_at < horizon
                  and exists (
                          select
                            from runs as newer
                           where (newer.task_name, newer.id) > (old.task_name, old.id)
                             and newer.task_name <= old.task_name
                             and newer.status <> 'running'
                      )
                order by old.started_at, old.id
                limit rows_max
                  for update of old skip locked
           ));
    get diagnostics deleted = row_count;
    return deleted;
end;
$$;

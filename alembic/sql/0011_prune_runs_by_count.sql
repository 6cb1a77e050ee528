-- prune_runs_by_count: deletes the oldest finished runs of one task beyond its newest
-- so many, a limited number in one call.
--
-- keep       how many finished runs of the task are kept, whatever became of them; 1 or
--            more, so that its newest always stays. What runs is not counted.
-- rows_max   the most runs that one call deletes; call again until it returns less.
-- Order      begins with the task, so that only the index of task and id has it; by ids alone
--            a task that has gone would be sought through all others' runs.
-- Cost       a walk over `keep` entries of one index. Counting what is there would cost
--            a walk over all.
-- Locks      the runs that it deletes; what others have locked is passed by.
-- Returns    how many were deleted.
-- Errors     22023 keep or rows_max missing or below 1
create or replace function prune_runs_by_count(task text, keep integer, rows_max integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    running  integer; -- 1 while the task runs, else 0; it is the newest then
    boundary bigint;  -- the newest run that goes
    deleted  integer;
begin
    if keep is null or keep < 1 or rows_max is null or rows_max < 1 then
        raise exception using
            errcode = '22023',
            message = 'prune_runs_by_count() needs numbers of runs to keep and to delete of 1 or more';
    end if;

    select count(*)
      into running
      from runs as r
     where r.task_name = prune_runs_by_count.task
       and r.status = 'running';

    select r.id
      into boundary
      from runs as r
     where r.task_name = any (array[prune_runs_by_count.task])
     order by r.task_name desc, r.id desc
    offset prune_runs_by_count.keep + running
     limit 1;

    delete from runs as r
     where r.id = any (array(
               select old.id
                 from runs as old
                where old.task_name = any (array[prune_runs_by_count.task])
                  and old.id <= boundary
                  and old.status <> 'running'
                order by old.task_name, old.id
                limit rows_max
                  for update skip locked
           ));
    get diagnostics deleted = row_count;
    return deleted;
end;
$$;

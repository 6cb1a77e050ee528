-- finish_run: records how a run ended. Sent only after its processes are gone.
--
-- retry_after   when given, a run that failed or timed out is due again after it.
-- Locks    the task, then the run.
-- Repeat   the same holder telling it again gets 'already', and nothing changes.
-- Returns  recorded   the ending stands, and is in the history
--          already    this holder had told it before
--          lost       the run was taken away or is another's; nothing changed
create function finish_run(
    run_id bigint, incarnation bigint, status text, result jsonb, output text, error text,
    retry_after interval default null
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    run    runs%rowtype;
    moment timestamptz;
begin
    if finish_run.status is null or finish_run.status in ('running', 'lost') then
        raise exception using
            errcode = '22023',
            message = format('a run cannot be finished as %s', finish_run.status);
    end if;

    -- Tasks before runs, as everywhere; the name of a run's task never changes.
    perform t.name
       from tasks as t
      where t.name = (select r.task_name from runs as r where r.id = finish_run.run_id)
        for update;

    select r.*
      into run
      from runs as r
     where r.id = finish_run.run_id
       for update;

    if not found or run.incarnation <> finish_run.incarnation or run.status = 'lost' then
        return 'lost';
    elsif run.status <> 'running' then
        return 'already';
    end if;

    moment := clock_timestamp();

    update runs as r
       set status = finish_run.status,
           finished_at = moment,
           result = finish_run.result,
           output = finish_run.output,
           error = finish_run.error
     where r.id = run.id;

    update tasks as t
       set losses = case when finish_run.status = 'interrupted' then t.losses else 0 end,
           due_at = case
               when finish_run.status = 'interrupted' then moment
               when finish_run.status in ('failed', 'timed_out') and retry_after is not null
                   then moment + retry_after
               else t.due_at
           end,
           due_trigger = case
               when finish_run.status = 'interrupted' then 'interrupted'
               when finish_run.status in ('failed', 'timed_out') and retry_after is not null then 'retry'
               else t.due_trigger
           end,
           due_run_id = case
               when finish_run.status = 'interrupted'
                    or (finish_run.status in ('failed', 'timed_out') and retry_after is not null) then run.id
               else t.due_run_id
           end,
           due_attempt = case
               when finish_run.status = 'interrupted' then run.attempt
               when finish_run.status in ('failed', 'timed_out') and retry_after is not null then run.attempt + 1
               else t.due_attempt
           end
     where t.name = run.task_name;

    return 'recorded';
end;
$$;


-- report_progress: writes how far runs have come, many in one call.
--
-- Locks    the runs, by id; heartbeats and starts pass.
-- Returns  the runs that took it: those that this incarnation still holds.
create function report_progress(incarnation bigint, run_ids bigint[], progress jsonb[])
returns bigint[]
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    accepted bigint[];
begin
    perform r.id
       from runs as r
      where r.id = any (report_progress.run_ids)
        and r.incarnation = report_progress.incarnation
        and r.status = 'running'
      order by r.id
        for no key update;

    with written as (
        update runs as r
           set progress = report.progress
          from unnest(report_progress.run_ids, report_progress.progress) as report (run_id, progress)
         where r.id = report.run_id
           and r.incarnation = report_progress.incarnation
           and r.status = 'running'
     returning r.id
    )
    select coalesce(array_agg(w.id order by w.id), '{}')
      into accepted
      from written as w;
    return accepted;
end;
$$;

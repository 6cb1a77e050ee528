-- redefine_task: what a configuration changes about a task that is known already.
-- Internal: define_tasks() calls it, and says what `item` is and which answers there are.
--
-- Locks    the task.
create function redefine_task(item jsonb)
returns text
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    -- What the times follow from; two schedules may read alike in words and differ here.
    timing constant jsonb := jsonb_strip_nulls(jsonb_build_object(
        'every', item -> 'definition' -> 'every',
        'cron', item -> 'definition' -> 'cron',
        'timezone', item -> 'definition' -> 'timezone',
        'jitter_seconds', item -> 'definition' -> 'jitter_seconds'
    ));
    new_revision constant bigint := (item ->> 'revision')::bigint;
    next_time constant timestamptz := (item ->> 'nextRunAt')::timestamptz;
    task tasks%rowtype;
begin
    select t.*
      into strict task
      from tasks as t
     where t.name = item ->> 'name'
       for update;

    -- The same definition of a higher revision counts as that one from now on.
    if task.revision < new_revision
       or (task.revision = new_revision and task.definition_hash <> item ->> 'hash') then
        update tasks as t
           set function = item ->> 'function',
               schedule = item ->> 'schedule',
               definition = item -> 'definition',
               definition_hash = item ->> 'hash',
               revision = new_revision,
               next_run_at = case
                   when t.schedule = item ->> 'schedule' and t.definition @> timing then t.next_run_at
                   else next_time
               end
         where t.name = task.name;
    end if;

    -- After the definition, whose change while the task was retired is nobody's contest.
    -- The times that passed meanwhile were not missed but unwanted.
    if task.retired_at is not null then
        update tasks as t
           set retired_at = null,
               next_run_at = case when t.next_run_at > clock_timestamp() then t.next_run_at else next_time end
         where t.name = task.name;
    end if;

    return case
        when task.retired_at is not null then 'returned'
        when task.definition_hash = item ->> 'hash' then null
        when task.revision > new_revision then 'outranked'
        when task.revision = new_revision then 'contested'
        else 'changed'
    end;
end;
$$;

-- define_tasks: brings a node's configuration into the table of tasks.
--
-- definitions  a JSON array of {"name", "function", "schedule", "definition",
--              "hash", "revision", "paused", "firstRunAt", "nextRunAt"}: firstRunAt
--              is null for "due at once"; nextRunAt counts for a task that is known,
--              if its schedule changed, or its time passed while it was retired.
-- Counts       the higher revision; at the same revision the later call.
-- Keeps        paused is an operator's once the task exists, and an unchanged
--              schedule keeps its next time, so that a deploy loses no tick.
-- Locks        the tasks, by name.
-- Repeat       changes nothing.
-- Returns      a JSON array of {"name", "change"}, without those that are as they were:
--                made        the task is new
--                returned    it was retired
--                changed     this configuration has a higher revision
--                contested   another one of the same revision defined it; this one counts now
--                outranked   another one of a higher revision defines it, and still does
drop function define_tasks(jsonb);

create function define_tasks(definitions jsonb)
returns jsonb
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    item    jsonb;
    change  text;
    changes jsonb := '[]';
begin
    for item in
        select d.value
          from jsonb_array_elements(definitions) as d
         order by d.value ->> 'name'
    loop
        insert into tasks as t
               (name, function, schedule, definition, definition_hash, revision, paused, next_run_at)
        values (item ->> 'name', item ->> 'function', item ->> 'schedule', item -> 'definition',
                item ->> 'hash', (item ->> 'revision')::bigint, (item ->> 'paused')::boolean,
                coalesce((item ->> 'firstRunAt')::timestamptz, clock_timestamp()))
            on conflict on constraint tasks_pkey do nothing;

        change := case when found then 'made' else redefine_task(item) end;
        if change is not null then
            changes := changes || jsonb_build_object('name', item ->> 'name', 'change', change);
        end if;
    end loop;

    if changes <> '[]' then
        perform pg_notify('task_wakeups', '');
    end if;
    return changes;
end;
$$;

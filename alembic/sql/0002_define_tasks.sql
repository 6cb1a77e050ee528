-- define_tasks: brings a node's configuration into the table of tasks.
--
-- definitions  a JSON array of {"name", "function", "schedule", "definition",
--              "hash", "revision", "paused", "firstRunAt", "nextRunAt"}: firstRunAt
--              is null for "due at once"; nextRunAt counts if the schedule of a
--              known task changed.
-- Counts       the higher revision; at the same revision the later call.
-- Keeps        paused is an operator's once the task exists, and an unchanged
--              schedule keeps its next time, so that a deploy loses no tick.
-- Locks        the tasks, by name.
-- Returns      the names that this call made or changed.
create function define_tasks(definitions jsonb)
returns text[]
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    item    jsonb;
    changed text[] := '{}';
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
            on conflict on constraint tasks_pkey do update
           set function = excluded.function,
               schedule = excluded.schedule,
               definition = excluded.definition,
               definition_hash = excluded.definition_hash,
               revision = excluded.revision,
               next_run_at = case
                   when t.schedule = excluded.schedule then t.next_run_at
                   else (item ->> 'nextRunAt')::timestamptz
               end
         where t.definition_hash <> excluded.definition_hash
           and t.revision <= excluded.revision;

        if found then
            changed := changed || (item ->> 'name');
        end if;
    end loop;

    return changed;
end;
$$;

-- What a task keeps besides its definition: since when it is retired, and what it skipped.
--
-- retired_at     since when no configuration names the task; null while one does. Its
--                row and its runs stay, and nothing of it is due or starts.
-- skipped_ticks  how many of its ticks were skipped so far; skipped_at and
--                skipped_reason tell of the last time.
alter table tasks
    add column retired_at timestamptz,
    add column skipped_ticks bigint not null default 0,
    add constraint task_retired_is_not_due check (retired_at is null or due_at is null);


-- tell_task_definition: tells who watches that a task was redefined, retired or brought back.
create function tell_task_definition()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    change text := case
        when tg_argv[0] = 'redefined' then 'redefined'
        when new.retired_at is null then 'returned'
        else 'retired'
    end;
    -- Whoever starts last would win for ever: a person has to say which one is meant.
    reason text := case
        when change = 'redefined' and new.revision = old.revision and old.retired_at is null then
            format('another configuration of revision %s defined it before; the one that started later counts',
                   new.revision)
    end;
begin
    perform announce('task_events', change, new.name, null, null,
                     jsonb_build_object('task', new.name, 'run', null, 'detail', reason), reason);
    return null;
end;
$$;

create constraint trigger task_redefined
after update on tasks
deferrable initially deferred
for each row
when (old.definition_hash is distinct from new.definition_hash)
execute function tell_task_definition('redefined');

create constraint trigger task_retired_or_returned
after update on tasks
deferrable initially deferred
for each row
when ((old.retired_at is null) <> (new.retired_at is null))
execute function tell_task_definition('retired');

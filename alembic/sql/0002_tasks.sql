-- tasks: what is to run, and when next.
--
-- next_run_at   belongs to the schedule alone, so that intervals don't drift.
-- due_at        what must run out of turn: run now, a retry, a run that was lost
--               or interrupted; due_trigger, due_run_id and due_attempt say why.
-- losses        runs lost in a row because their node died; see bury_nodes().
-- definition    the whole configuration of the task; of two configurations the
--               one with the higher revision counts, at the same one the later.
create table tasks (
    name            text not null,
    function        text not null,
    schedule        text not null,
    definition      jsonb not null,
    definition_hash text not null,
    revision        bigint not null,
    paused          boolean not null default false,
    next_run_at     timestamptz not null,
    due_at          timestamptz,
    due_trigger     text,
    due_run_id      bigint,
    due_attempt     integer not null default 1,
    losses          integer not null default 0,
    skipped_at      timestamptz,
    skipped_reason  text,

    constraint tasks_pkey primary key (name),
    constraint task_name_short check (length(name) between 1 and 100),
    constraint task_due_trigger_known check (due_trigger in ('manual', 'retry', 'lost', 'interrupted')),
    constraint task_due_has_a_trigger check ((due_at is null) = (due_trigger is null))
) with (fillfactor = 50);

comment on table tasks is 'Configured background jobs and the time at which each is due.';


-- tell_task_change: tells who watches that a task was paused, resumed or skipped.
create function tell_task_change()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    change text := case tg_argv[0]
        when 'skipped' then 'skipped'
        else case when new.paused then 'paused' else 'resumed' end
    end;
    reason text := case tg_argv[0] when 'skipped' then left(new.skipped_reason, 500) end;
begin
    perform announce('task_events', change, new.name, null, null,
                     jsonb_build_object('task', new.name, 'run', null, 'detail', reason), reason);
    return null;
end;
$$;

create constraint trigger task_paused_or_resumed
after update on tasks
deferrable initially deferred
for each row
when (old.paused is distinct from new.paused)
execute function tell_task_change('paused');

create constraint trigger task_tick_skipped
after update on tasks
deferrable initially deferred
for each row
when (old.skipped_at is distinct from new.skipped_at)
execute function tell_task_change('skipped');

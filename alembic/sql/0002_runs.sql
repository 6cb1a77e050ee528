-- runs: every execution of every task; the running ones and the history.
--
-- id            grows with every start; it is the run's fencing token.
-- One at once   the partial unique index is the last word on overlaps: whatever
--               the code believes, a second running row cannot exist.
-- predecessor   the run that this one repeats: lost, interrupted or failed.
create table runs (
    id                  bigint generated always as identity (cache 1),
    task_name           text not null,
    node_name           text not null,
    incarnation         bigint not null,
    status              text not null,
    trigger             text not null,
    scheduled_for       timestamptz not null,
    started_at          timestamptz not null,
    finished_at         timestamptz,
    attempt             integer not null,
    predecessor_id      bigint,
    cancel_requested_at timestamptz,
    progress            jsonb,
    result              jsonb,
    output              text,
    error               text,

    constraint runs_pkey primary key (id),
    constraint run_status_known check (status in
        ('running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted', 'lost')),
    constraint run_trigger_known check (trigger in ('schedule', 'manual', 'retry', 'lost', 'interrupted')),
    constraint run_is_finished_unless_running check ((status = 'running') = (finished_at is null)),
    constraint run_output_limited check (octet_length(output) <= 262144),
    constraint run_error_limited check (octet_length(error) <= 65536)
) with (fillfactor = 80);

create unique index one_running_run_per_task on runs (task_name) where status = 'running';
create index running_runs_by_node on runs (node_name, incarnation) where status = 'running';
create index runs_by_task on runs (task_name, id);
create index runs_by_predecessor on runs (predecessor_id) where predecessor_id is not null;
create index runs_by_finish on runs (finished_at) where finished_at is not null;

comment on table runs is 'Executions of tasks; status running is now, all others are history.';


-- tell_run_change: one event for each start and one for each ending.
create function tell_run_change()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    change text := case new.status when 'running' then 'started' else new.status end;
    reason text := case new.status
        when 'running' then new.trigger
        else left(regexp_replace(rtrim(new.error), '^.*\n', ''), 500)
    end;
begin
    perform announce('task_events', change, new.task_name, new.id, new.node_name,
                     jsonb_build_object('task', new.task_name, 'run', new.id, 'detail', reason), reason);
    return null;
end;
$$;

create constraint trigger run_started
after insert on runs
deferrable initially deferred
for each row execute function tell_run_change();

create constraint trigger run_ended
after update on runs
deferrable initially deferred
for each row
when (old.status is distinct from new.status)
execute function tell_run_change();

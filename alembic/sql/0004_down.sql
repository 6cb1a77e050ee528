-- The way back from 0004: a retired task is one again that is due and that nobody knows,
-- and the counts of skipped ticks go. The functions dropped last are made anew, as they
-- were, from the files of 0002 (see the migration).
drop trigger task_retired_or_returned on tasks;
drop trigger task_redefined on tasks;
drop function tell_task_definition();
drop function retire_task(text);
alter table tasks
    drop constraint task_retired_is_not_due,
    drop column retired_at,
    drop column skipped_ticks;

drop function define_tasks(jsonb);
drop function redefine_task(jsonb);
drop function start_run(text, text, bigint, timestamptz, timestamptz);
drop function skip_tick(text, timestamptz, timestamptz, text, bigint);
drop function run_task(text);
drop function pause_task(text);
drop function resume_task(text, timestamptz);
drop function cancel_run(bigint);

-- skip_tick: advances a schedule without a run, and records how many of its ticks that
-- left out, and why.
--
-- ticks    how many, expected_next the first of them; the release before counted none
--          and gives one call for each decision.
-- Locks    the task.
-- Repeat   skips nothing: the schedule does not stand there any more.
-- Returns  whether the schedule still stood where the caller had seen it.
drop function skip_tick(text, timestamptz, timestamptz, text);

create function skip_tick(
    task_name text, expected_next timestamptz, new_next timestamptz, reason text, ticks bigint default 1
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update tasks as t
       set next_run_at = skip_tick.new_next,
           skipped_at = clock_timestamp(),
           skipped_reason = skip_tick.reason,
           skipped_ticks = t.skipped_ticks + skip_tick.ticks
     where t.name = skip_tick.task_name
       and t.next_run_at = skip_tick.expected_next
       and t.retired_at is null
       and not t.paused;
    return found;
end;
$$;

-- Indexes for the two questions with two filters that operators ask: what of this task,
-- or on this node, went so? Without them "the failed runs of a task that never fails"
-- walked over all failed runs, or over all of the task's: two seconds in ten million.
--
-- Partial  runs that succeeded are nearly all there are, and found soon by the indexes
--          for task and node alone; so these stay small, and a run that succeeds leaves
--          no entry. The planner takes them for a status that it knows when it plans.
-- Locks    as for runs_by_start (0007_runs_in_order.sql), and shorter.
create index if not exists runs_by_task_that_did_not_succeed
    on runs (task_name, status, started_at, id) where status <> 'succeeded';
create index if not exists runs_by_node_that_did_not_succeed
    on runs (node_name, status, started_at, id) where status <> 'succeeded';

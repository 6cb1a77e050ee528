-- Indexes for the lists of runs: whatever the filter, a page is found in the order in
-- which it is shown, however long the history is and wherever in it the page lies.
--
-- Order   started_at, then id. Without the time in it a list that is bounded by time
--         would walk over everything that is newer than its bound.
-- Locks   each is built under a lock that lets everybody read runs and nobody write:
--         heartbeats and money go on, starts and endings of runs wait and are repeated.
--         docs/scaling.md says how long for ten million runs. Whoever can't wait makes
--         the indexes before, under these names and `concurrently`; they are found then.
create index if not exists runs_by_start on runs (started_at, id);
create index if not exists runs_by_task_and_start on runs (task_name, started_at, id);
create index if not exists runs_by_node_and_start on runs (node_name, started_at, id);
create index if not exists runs_by_status_and_start on runs (status, started_at, id);

drop function prune_nodes(interval);
drop function prune_events(interval, bigint, integer);
drop function prune_runs_by_count(text, integer, integer);
drop function prune_runs_by_age(text, interval, integer);
drop index runs_by_status_and_start;
drop index runs_by_node_and_start;
drop index runs_by_task_and_start;
drop index runs_by_start;

-- The way back from 0011; the functions of 0007 are made again after it.
drop function prune_runs_by_count(text, integer, integer);
drop function prune_runs_by_age(text, interval, integer);

-- What is asked about the history that is no plain list of runs.

-- name: durations
-- How long the last runs of each task took that have ended, the oldest first; by the index
-- on task and id, so it reads no more than it answers.
select t.name as task,
       array_agg(last.seconds order by last.id) as durations
  from tasks as t
 cross join lateral (
     select r.id,
            round(extract(epoch from r.finished_at - r.started_at), 3)::float8 as seconds
       from runs as r
      where r.task_name = any (array[t.name]) -- see _is_one_of() in history_queries.py
        and r.finished_at is not null
      order by r.task_name desc, r.id desc
      limit %(limit)s
 ) as last
 group by t.name;

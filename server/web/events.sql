-- What the event stream reads. Ids grow in commit order, so nothing is missed by "id > last".

-- name: extent
-- Where the kept events begin and end; null without any.
select min(id) as oldest, max(id) as newest from events;

-- name: after
-- The events that follow one, oldest first, each with the text that observers get.
select e.id,
       e.event,
       e.task,
       json_build_object(
           'id', e.id,
           'channel', e.channel,
           'event', e.event,
           'task', e.task,
           'run', e.run_id,
           'node', e.node,
           'at', to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'detail', e.detail
       )::text as text
  from events as e
 where e.id > %(position)s
 order by e.id
 limit %(limit)s;

-- name: progress
-- How far each run is that has told; few rows, since a task runs once at a time.
select r.id as run_id,
       r.task_name as task,
       json_build_object(
           'event', 'progress',
           'task', r.task_name,
           'run', r.id,
           'node', r.node_name,
           'progress', r.progress
       )::text as text
  from runs as r
 where r.status = 'running'
   and r.progress is not null
 order by r.id;

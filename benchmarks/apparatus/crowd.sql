-- Many nodes and tasks as the product's own functions write them, without a process for any.

-- name: join
select incarnation
  from register_node(
           %(name)s, %(host)s, 4711, 'http://127.0.0.1:1', '0.1.0', %(tasks)s, interval '1 day',
           'no boot', '/no/lock', 1, 1
       );

-- name: define
select define_tasks(%(definitions)s);

-- name: clock
select clock_timestamp() as now;

-- name: due
select run_task(%(task)s);

-- name: start
select run_id
  from start_run(%(task)s, %(node)s, %(incarnation)s, clock_timestamp(), clock_timestamp());

-- name: progress
select report_progress(%(incarnation)s, %(runs)s, %(progress)s);

-- name: finish
select finish_run(%(run)s, %(incarnation)s, %(status)s, null, null, null);

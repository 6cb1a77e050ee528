-- What the money path did lately, told by every node and read by any.

-- name: tell
select tell_pulse(
           %(node)s::text, %(withdrawals)s::bigint, %(deposits)s::bigint, %(refused)s::bigint,
           %(batches)s::bigint, %(movements)s::bigint, %(largest)s::bigint
       ) as fraction;

-- name: read
-- Each of the last whole seconds, oldest first, all nodes together; zeros where nothing moved.
select to_char(s.second at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at,
       coalesce(sum(p.withdrawals), 0)::bigint as withdrawals,
       coalesce(sum(p.deposits), 0)::bigint as deposits,
       coalesce(sum(p.refused), 0)::bigint as refused,
       coalesce(sum(p.batches), 0)::bigint as batches,
       coalesce(sum(p.movements), 0)::bigint as movements,
       coalesce(max(p.largest), 0)::bigint as largest,
       to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now
  from generate_series(
           date_trunc('second', clock_timestamp()) - make_interval(secs => %(seconds)s),
           date_trunc('second', clock_timestamp()) - interval '1 second',
           interval '1 second'
       ) as s (second)
  left join money_pulse as p on p.second = s.second
 group by s.second
 order by s.second;

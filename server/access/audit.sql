-- The record of what operators did.

-- name: page
-- Columns stand in the order of AuditRecord. The older ones of a year ago are reached by
-- audit_by_time, the newest by the order of ids.
select a.id,
       to_char(a.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
       a.actor_kind,
       a.actor,
       a.actor_name,
       a.action,
       a.target,
       a.outcome,
       a.peer,
       a.node
  from audit as a
 where a.id < coalesce(%(before_id)s::bigint, 9223372036854775807)
   and (%(since)s::timestamptz is null or a.at >= %(since)s)
   and (%(until)s::timestamptz is null or a.at < %(until)s)
   and (%(who)s::text is null or %(who)s in (a.actor, a.actor_name))
   and (%(action)s::text is null or a.action = %(action)s)
 order by a.id desc
 limit %(limit)s;

-- name: record_operation
select record_operation(%(action)s::text, %(target)s::text, %(outcome)s::text, %(caller)s::jsonb);

-- name: record_refusals
select record_refusals(%(refusals)s::jsonb) as recorded;

-- The record of what operators did.

-- name: page
-- Columns stand in the order of AuditRecord.
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
 order by a.id desc
 limit %(limit)s;

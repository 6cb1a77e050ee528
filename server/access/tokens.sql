-- Tokens, for those who check them and those who make them. The rules are in the functions
-- (alembic/sql/0012_tokens.sql).

-- name: kept
-- Every token that a node may meet, and those that ended within a week, so that the log can
-- say why one is refused. Seconds are counted by the clock that judges.
select t.id,
       t.name,
       t.digest,
       t.scopes,
       t.user_id,
       t.revoked_at is not null as is_revoked,
       to_char(t.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as expires_at,
       extract(epoch from t.expires_at - clock_timestamp())::float8 as seconds_left
  from tokens as t
 where least(t.revoked_at, t.expires_at) is null
    or least(t.revoked_at, t.expires_at) > clock_timestamp() - interval '7 days';

-- name: mark_used
select mark_tokens_used(%(ids)s::text[]);

-- name: has_table
-- Whether the schema knows tokens at all.
select to_regclass('public.tokens') is not null;

-- name: any
-- Whether there is a token that was not revoked.
select exists (select from tokens as t where t.revoked_at is null) as found;

-- name: create
select c.outcome, c.created_at, c.expires_at
  from create_token(
           %(id)s, %(name)s, %(digest)s, %(scopes)s, %(user_id)s,
           make_interval(secs => %(lifetime_seconds)s), %(caller)s::jsonb
       ) as c;

-- name: revoke
select revoke_token(%(id)s, %(caller)s::jsonb) as outcome;

-- name: list
-- All that were ever made, the newest first.
select t.id,
       t.name,
       t.scopes,
       t.user_id,
       case
           when t.revoked_at is not null then 'revoked'
           when t.expires_at <= clock_timestamp() then 'expired'
           else 'valid'
       end as state,
       to_char(t.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as created_at,
       to_char(t.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as expires_at,
       to_char(t.revoked_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as revoked_at,
       to_char(t.last_used_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_used_at
  from tokens as t
 order by t.created_at desc, t.id;

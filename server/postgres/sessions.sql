-- What a connection asks before it is used; see session_settings.py.

-- name: begin_session
-- Whether somebody stands between, how transactions begin, and the settings: for the session
-- if the process that answers is the one that was announced, else for this statement alone.
select s.is_pooled,
       current_setting('transaction_isolation') as isolation,
       (
           select count(set_config(wanted.key, wanted.value, s.is_pooled))
             from jsonb_each_text(%(settings)s::jsonb) as wanted
       ) as settings
  from (select pg_backend_pid() <> %(announced_pid)s as is_pooled) as s;

-- name: begin_transaction
select count(set_config(wanted.key, wanted.value, true))
  from jsonb_each_text(%(settings)s::jsonb) as wanted;

-- name: change_session
select count(set_config(wanted.key, wanted.value, false))
  from jsonb_each_text(%(settings)s::jsonb) as wanted;

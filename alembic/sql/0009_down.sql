-- The way back from 0009: no tokens and no record. What operators may do is made anew
-- after it, as it was, from the files of 0002 and 0004 (see the migration).
drop function mark_tokens_used(text[]);
drop function revoke_token(text);
drop function create_token(text, text, bytea, text[], bigint, interval);
drop table tokens;
drop function tell_tokens();

drop function cancel_run(bigint, jsonb);
drop function resume_task(text, timestamptz, jsonb);
drop function pause_task(text, jsonb);
drop function run_task(text, jsonb);

drop function record_action(text, text, text, jsonb);
drop table audit;
drop function refuse_audit_change();

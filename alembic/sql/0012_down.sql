-- The way back from 0012. What commands did stays in the record, as what a role did: the
-- schema before knows no other name for it. create_token() and its like are made anew
-- after it, from the file of 0009 (see the migration).
drop function prune_audit(interval, integer);
drop function record_refusals(jsonb);
drop function record_operation(text, text, text, jsonb);
drop function revoke_token(text, jsonb);
drop function create_token(text, text, bytea, text[], bigint, interval, jsonb);
drop function mark_tokens_used(text[]);
drop function record_local(text, text, text, jsonb);

drop trigger audit_is_kept on audit;
drop function keep_audit_record();
drop index audit_by_time;
drop trigger audit_is_append_only on audit;
alter table audit drop constraint audit_actor_kind_known;
update audit set actor_kind = 'role' where actor_kind = 'user';
alter table audit add constraint audit_actor_kind_known
check (actor_kind in ('token', 'anonymous', 'role'));

create trigger audit_is_append_only
before update or delete or truncate on audit
for each statement execute function refuse_audit_change();

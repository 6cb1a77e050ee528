-- audit, further: what commands did on some host is recorded, too, and what is old may go.
--
-- Who      actor_kind user: a command; actor is the user of its operating system and the host,
--          actor_name who that was before su or sudo, and peer 'local'.
-- Kept     each line for 30 days, whoever wants it gone; then prune_audit() may delete it.
-- Growth   one short row for each action of a person, and 60 an hour for refused requests.
--          Remaking the constraint reads the table once, which is short.
alter table audit drop constraint audit_actor_kind_known;
alter table audit add constraint audit_actor_kind_known
check (actor_kind in ('token', 'anonymous', 'role', 'user'));

create index audit_by_time on audit (at);


-- keep_audit_record: keeps each line of the record for 30 days.
--
-- Errors   RF403   a younger one was to be deleted
create function keep_audit_record()
returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if old.at >= clock_timestamp() - interval '30 days' then
        raise exception using
            errcode = 'RF403',
            table = 'audit',
            message = 'the audit record keeps each line for 30 days';
    end if;
    return old;
end;
$$;

drop trigger audit_is_append_only on audit;

create trigger audit_is_append_only
before update or truncate on audit
for each statement execute function refuse_audit_change();

create trigger audit_is_kept
before delete on audit
for each row execute function keep_audit_record();

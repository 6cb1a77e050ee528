-- audit: what operators did, for ever.
--
-- Who      actor_kind token: actor is the token's id. anonymous: over HTTP, where no token
--          was needed. role: straight on the database; actor is the role that logged in.
-- Where    peer is the address that asked, or 'local socket'; node the one that was asked.
-- When     written in the transaction of the action itself: neither is without the other.
--          An attempt that the rules refused is recorded with its outcome; one that was
--          not admitted is a line in the node's log.
-- Growth   one short row for each action of a person; nothing deletes them.
create table audit (
    id         bigint generated always as identity (cache 1),
    at         timestamptz not null default clock_timestamp(),
    actor_kind text not null,
    actor      text not null,
    actor_name text not null,
    action     text not null,
    target     text not null,
    outcome    text not null,
    peer       text not null,
    node       text not null,

    constraint audit_pkey primary key (id),
    constraint audit_actor_kind_known check (actor_kind in ('token', 'anonymous', 'role')),
    constraint audit_texts_short check (
        length(actor) <= 100 and length(actor_name) <= 100 and length(action) <= 100
        and length(target) <= 100 and length(outcome) <= 100 and length(peer) <= 100 and length(node) <= 100
    )
);

comment on table audit is 'Append-only: who did what, when, from where, and what came of it.';


-- refuse_audit_change: keeps the record as it was written.
--
-- Errors   RF403   always
create function refuse_audit_change()
returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    raise exception using
        errcode = 'RF403',
        table = 'audit',
        message = format('the audit record is append-only: %s on audit is refused', lower(tg_op));
end;
$$;

create trigger audit_is_append_only
before update or delete or truncate on audit
for each statement execute function refuse_audit_change();


-- record_action: writes one line of the audit record. For functions of the owner alone.
--
-- caller   {"token": id or null, "name", "peer", "node"} as a node says it; null means
--          whoever is connected. Texts are cut at 100 characters.
create function record_action(action text, target text, outcome text, caller jsonb)
returns void
language plpgsql
security invoker
set search_path = pg_catalog, public, pg_temp
as $$
declare
    kind text := case
        when caller is null then 'role'
        when caller ->> 'token' is null then 'anonymous'
        else 'token'
    end;
begin
    insert into audit as a (actor_kind, actor, actor_name, action, target, outcome, peer, node)
    values (
        kind,
        left(case kind when 'role' then session_user::text else coalesce(caller ->> 'token', '') end, 100),
        left(coalesce(caller ->> 'name', ''), 100),
        left(record_action.action, 100),
        left(record_action.target, 100),
        left(record_action.outcome, 100),
        left(case kind
            when 'role' then coalesce(host(inet_client_addr()), 'local socket')
            else coalesce(caller ->> 'peer', '')
        end, 100),
        left(coalesce(caller ->> 'node', ''), 100)
    );
end;
$$;

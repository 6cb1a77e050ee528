-- nodes: the members of the cluster and their leases.
--
-- incarnation   names one start of one node; taken from a sequence, never used again.
-- ttl           the length of the lease that this node asked for; whoever judges
--               the lease reads lease_expires_at and never a setting of its own.
-- lock_*        identity of a file on which the node and all its processes hold a
--               lock while any of them lives: the proof of death on a shared host.
-- Updates       a heartbeat writes no indexed column, so it stays a HOT update.
create sequence incarnations as bigint cache 1;

create table nodes (
    name             text not null,
    incarnation      bigint not null,
    host             text not null,
    pid              integer not null,
    url              text not null,
    version          text not null,
    state            text not null,
    tasks            text[] not null,
    ttl              interval not null,
    boot_id          text not null,
    lock_path        text not null,
    lock_dev         bigint not null,
    lock_ino         bigint not null,
    started_at       timestamptz not null,
    heartbeat_at     timestamptz not null,
    lease_expires_at timestamptz not null,

    constraint nodes_pkey primary key (name),
    constraint node_name_short check (length(name) between 1 and 100),
    constraint node_state_known check (state in ('live', 'draining', 'dead')),
    constraint node_ttl_positive check (ttl > interval '0')
) with (fillfactor = 50);

comment on table nodes is 'Members of the cluster; a node may run tasks until lease_expires_at.';


-- tell_node_change: one event for each change of membership, none for a heartbeat.
create function tell_node_change()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    change text;
    member nodes%rowtype;
begin
    if tg_op = 'DELETE' then
        member := old;
        change := 'left';
    else
        member := new;
        change := case
            when tg_op = 'INSERT' or new.incarnation <> old.incarnation then 'joined'
            when new.state = 'live' then 'joined'
            else new.state
        end;
    end if;

    perform announce('node_events', change, null, null, member.name,
                     jsonb_build_object('incarnation', member.incarnation), null);
    return null;
end;
$$;

create constraint trigger node_joined
after insert on nodes
deferrable initially deferred
for each row execute function tell_node_change();

create constraint trigger node_changed
after update on nodes
deferrable initially deferred
for each row
when (old.state is distinct from new.state or old.incarnation is distinct from new.incarnation)
execute function tell_node_change();

-- A dead node was told already; its row may be cleared away in silence.
create constraint trigger node_left
after delete on nodes
deferrable initially deferred
for each row
when (old.state <> 'dead')
execute function tell_node_change();

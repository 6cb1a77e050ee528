-- events: the durable form of what NOTIFY tells about tasks and nodes.
--
-- Order    ids grow in commit order, so whoever reads "id > last seen" misses
--          nothing. announce() makes that order; see there.
create table events (
    id      bigint generated always as identity (cache 1),
    at      timestamptz not null,
    channel text not null,
    event   text not null,
    task    text,
    run_id  bigint,
    node    text,
    detail  text,

    constraint events_pkey primary key (id),
    constraint event_channel_known check (channel in ('task_events', 'node_events')),
    constraint event_detail_short check (length(detail) <= 1000)
);

-- The newest node event is the membership's version, asked for at every heartbeat.
create index events_of_nodes on events (id) where channel = 'node_events';

comment on table events is 'What happened to tasks and nodes, in commit order.';


-- announce: writes one event and sends it with NOTIFY.
--
-- Called   by deferred constraint triggers alone, at the very end of a transaction.
-- Locks    an advisory lock until the commit is done: so ids are given in commit
--          order. Taken any earlier, one idle psql would hold up every event of
--          the cluster. It is the last lock in the order nodes, tasks, runs, events.
-- Size     detail is cut at 1,000 characters, so that a payload stays far below
--          the 8,000 bytes at which NOTIFY fails its transaction.
create function announce(channel text, event text, task text, run_id bigint, node text, extra jsonb, detail text)
returns void
language plpgsql
security invoker
set search_path = pg_catalog, public, pg_temp
as $$
declare
    event_lock constant bigint := 7164226370941;
    event_id   bigint;
    moment     timestamptz;
begin
    perform pg_advisory_xact_lock(event_lock);
    moment := clock_timestamp();

    insert into events as e (at, channel, event, task, run_id, node, detail)
    values (moment, announce.channel, announce.event, announce.task, announce.run_id, announce.node,
            left(announce.detail, 1000))
    returning e.id into event_id;

    perform pg_notify(
        announce.channel,
        (
            jsonb_build_object('id', event_id, 'event', announce.event, 'node', announce.node,
                               'at', to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
            || announce.extra
        )::text
    );
end;
$$;

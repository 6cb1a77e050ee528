-- record_local: writes one line of the audit record for a command. For functions of the
-- owner alone.
--
-- caller   {"user": "ann@host", "name": who that was before su or sudo} as the command says it.
--          Texts are cut at 100 characters.
create function record_local(action text, target text, outcome text, caller jsonb)
returns void
language plpgsql
security invoker
set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into audit as a (actor_kind, actor, actor_name, action, target, outcome, peer, node)
    values (
        'user',
        left(coalesce(caller ->> 'user', ''), 100),
        left(coalesce(caller ->> 'name', ''), 100),
        left(record_local.action, 100),
        left(record_local.target, 100),
        left(record_local.outcome, 100),
        'local',
        ''
    );
end;
$$;


-- record_operation: writes down an action that happens outside of the database, and that
-- no function of it can record by itself.
--
-- caller   of a command as record_local() takes it, of a request as record_action() does;
--          null means whoever is connected.
-- Errors   22023   the action is none of these: what has a function of its own is recorded
--                  by that alone
create function record_operation(action text, target text, outcome text, caller jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if action is null or action <> all (array[
        'service.start', 'service.stop', 'service.restart', 'service.scale',
        'database.start', 'database.stop', 'database.backup', 'database.restore',
        'database.move', 'database.upgrade', 'schema.migrate', 'log.level'
    ]) then
        raise exception using
            errcode = '22023',
            message = format('record_operation() does not record the action %s', coalesce(action, 'null'));
    end if;

    if caller ? 'user' then
        perform record_local(action, target, outcome, caller);
    else
        perform record_action(action, target, outcome, caller);
    end if;
end;
$$;


-- record_refusals: writes down requests that were not let in, as many as there is room for:
-- whoever is not let in can't fill the table.
--
-- refusals   [{"token": id or null, "peer", "node", "target", "outcome"}, …], the most telling first.
-- Locks      none; two nodes at one moment may pass the limit by what one of them tells.
-- Returns    how many were written; the others are not.
create function record_refusals(refusals jsonb)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    records_max constant integer := 60; -- an hour, of all nodes together
    room     integer;
    refusal  jsonb;
    recorded integer := 0;
begin
    select records_max - count(*)
      into room
      from audit as a
     where a.at > clock_timestamp() - interval '1 hour'
       and a.action = 'access.refused';

    for refusal in
        select r.value
          from jsonb_array_elements(refusals) with ordinality as r (value, place)
         order by r.place
         limit greatest(room, 0)
    loop
        perform record_action(
            'access.refused',
            refusal ->> 'target',
            refusal ->> 'outcome',
            refusal || jsonb_build_object('name', (
                select t.name
                  from tokens as t
                 where t.id = refusal ->> 'token'
            ))
        );
        recorded := recorded + 1;
    end loop;
    return recorded;
end;
$$;

-- create_token(), revoke_token(): as before, and the record tells which person of which host
-- asked. Code of the release before calls them without saying so; then it is the role.
drop function create_token(text, text, bytea, text[], bigint, interval);
drop function revoke_token(text);


-- create_token: lets whoever holds a token ask for something. For the owner alone: it is
-- not SECURITY DEFINER, so the application's role may not call it.
--
-- lifetime  null: it never expires.
-- caller    as record_local() takes it; null means whoever is connected.
-- Locks     none; two at one moment may pass the limit by one.
-- Returns   created, with its moments
--           no_such_user   user_id names no account; nothing changed
--           too_many       a thousand tokens are in force; nothing changed
-- Errors    23514   the table's constraints   23505   the id was used before
create function create_token(
    id text, name text, digest bytea, scopes text[], user_id bigint, lifetime interval,
    caller jsonb default null
)
returns table (outcome text, created_at timestamptz, expires_at timestamptz)
language plpgsql
security invoker
set search_path = pg_catalog, public, pg_temp
as $$
declare
    tokens_max constant integer := 1000;
    moment     timestamptz := clock_timestamp();
begin
    if create_token.user_id is not null
       and not exists (select from users as u where u.id = create_token.user_id)
    then
        outcome := 'no_such_user';
    elsif (
        select count(*)
          from tokens as t
         where t.revoked_at is null
           and (t.expires_at is null or t.expires_at > moment)
    ) >= tokens_max then
        outcome := 'too_many';
    else
        outcome := 'created';
        created_at := moment;
        expires_at := moment + create_token.lifetime;
        insert into tokens as t (id, name, digest, scopes, user_id, created_at, expires_at)
        values (create_token.id, create_token.name, create_token.digest, create_token.scopes,
                create_token.user_id, moment, create_token.expires_at);
        if create_token.caller is null then
            perform record_action('token.create', create_token.id, 'created', null);
        else
            perform record_local('token.create', create_token.id, 'created', create_token.caller);
        end if;
    end if;
    return next;
end;
$$;


-- revoke_token: ends a token for ever; nodes refuse it within a second. For the owner alone.
--
-- caller    as record_local() takes it; null means whoever is connected.
-- Returns   revoked   it is from now on
--           already   it was before; nothing changed
--           unknown   there is no such token
create function revoke_token(id text, caller jsonb default null)
returns text
language plpgsql
security invoker
set search_path = pg_catalog, public, pg_temp
as $$
declare
    outcome text := 'revoked';
begin
    update tokens as t
       set revoked_at = clock_timestamp()
     where t.id = revoke_token.id
       and t.revoked_at is null;

    if not found then
        outcome := case
            when exists (select from tokens as t where t.id = revoke_token.id) then 'already'
            else 'unknown'
        end;
    end if;

    if caller is null then
        perform record_action('token.revoke', revoke_token.id, outcome, null);
    else
        perform record_local('token.revoke', revoke_token.id, outcome, revoke_token.caller);
    end if;
    return outcome;
end;
$$;

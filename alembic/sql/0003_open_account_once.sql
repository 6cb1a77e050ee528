-- open_account_once: makes an account for a request with a key; a repeat finds it again.
--
-- Units    balance is a whole number of minor units, 0 or more; wait_ms is
--          milliseconds, 1 or more.
-- Returns  one row:
--            opened      the new account
--            replayed    the account that the key opened before, with this balance
--            key_reused  the key was used with another balance, or for a movement
--            under_way   the key's first request has not ended within wait_ms;
--                        nothing was done
-- Repeat   with the same request id it is the same request, sent again after its
--          answer was lost: then the account that it opened is told as opened.
-- Keeps    the key, in the transaction that makes the account.
-- Locks    the key, before anything else: who waits for it has done nothing yet.
-- Errors   22023, 23514 as open_account()
--          23505 one_entry_per_request   the request id was used without this key
create function open_account_once(balance bigint, request_id uuid, client text, key text, wait_ms integer)
returns table (user_id bigint, outcome text)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
as $$
declare
    kept idempotency_keys%rowtype;
begin
    perform set_config('lock_timeout', wait_ms || 'ms', true);

    loop
        begin
            insert into idempotency_keys (client, key, operation, request_id, balance, created_at)
            values (open_account_once.client, open_account_once.key, 'open_account',
                    open_account_once.request_id, coalesce(open_account_once.balance, 0), clock_timestamp())
                on conflict on constraint one_outcome_per_key do nothing;
        exception
            when lock_not_available then
                return query values (null::bigint, 'under_way');
                return;
        end;

        if found then
            return query values (open_account(open_account_once.balance, open_account_once.request_id), 'opened');
            return;
        end if;

        select k.*
          into kept
          from idempotency_keys as k
         where k.client = open_account_once.client
           and k.key = open_account_once.key;

        -- Not found: it was pruned since the insert met it, so it is free.
        exit when found;
    end loop;

    if kept.operation = 'open_account' and kept.balance = open_account_once.balance then
        return query
        select e.user_id,
               case when kept.request_id = open_account_once.request_id then 'opened' else 'replayed' end
          from entries as e
         where e.request_id = kept.request_id;
    else
        return query values (null::bigint, 'key_reused');
    end if;
end;
$$;

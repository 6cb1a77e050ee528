-- open_account: makes an account and writes its opening entry.
--
-- Units    balance is a whole number of minor units, 0 or more.
-- Locks    only rows that nobody else can see yet.
-- Repeat   each call opens another account, unless the request id was seen:
--          then 23505 one_entry_per_request, and no account is opened.
-- Errors   22023 balance missing       23514 balance_not_negative
--          23514 balance_within_json_integers
create function open_account(balance bigint default 0, request_id uuid default gen_random_uuid())
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    account_id bigint;
begin
    if open_account.balance is null or open_account.request_id is null then
        raise exception using
            errcode = '22023',
            message = 'open_account() needs a balance of 0 or more and a request id';
    end if;

    insert into users as u (balance)
    values (open_account.balance)
    returning u.id into account_id;

    insert into entries (user_id, amount, balance_after, request_id)
    values (account_id, open_account.balance, open_account.balance, open_account.request_id);

    return account_id;
end;
$$;

-- deposit: puts money into one account, once for each request id.
--
-- Units    amount is a whole number of minor units, 1 or more.
-- Locks    the one users row, until commit.
-- Repeat   a request id seen before returns its first balance and moves nothing.
-- Errors   23514 balance_within_json_integers   DETAIL {"balance": n}
--          RF404 no such user                   22023 an argument missing, or out of range
--          RF422 request id used for something else
create function deposit(user_id bigint, amount bigint, request_id uuid default gen_random_uuid())
returns table (balance bigint, entry_id bigint)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    -- An amount above the largest balance could overflow bigint before the
    -- constraint sees a row, so it is refused by its own name here.
    if deposit.user_id is null
       or deposit.request_id is null
       or deposit.amount is null
       or deposit.amount < 1
       or deposit.amount > 9007199254740991
    then
        raise exception using
            errcode = '22023',
            message = 'deposit() needs a user id, an amount from 1 to 9007199254740991 and a request id';
    end if;

    return query
    select m.balance, m.entry_id
      from move_money(deposit.user_id, deposit.amount, deposit.request_id) as m;
end;
$$;

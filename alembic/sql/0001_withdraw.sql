-- withdraw: takes money out of one account, once for each request id.
--
-- Units    amount is a whole number of minor units, 1 or more.
-- Locks    the one users row, until commit.
-- Repeat   a request id seen before returns its first balance and moves nothing.
-- Errors   23514 balance_not_negative   insufficient funds; DETAIL {"balance": n}
--          RF404 no such user           22023 an argument missing or below 1
--          RF422 request id used for something else
create function withdraw(user_id bigint, amount bigint, request_id uuid default gen_random_uuid())
returns table (balance bigint, entry_id bigint)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if withdraw.user_id is null
       or withdraw.request_id is null
       or withdraw.amount is null
       or withdraw.amount < 1
    then
        raise exception using
            errcode = '22023',
            message = 'withdraw() needs a user id, an amount of 1 or more and a request id';
    end if;

    return query
    select m.balance, m.entry_id
      from move_money(withdraw.user_id, -withdraw.amount, withdraw.request_id) as m;
end;
$$;

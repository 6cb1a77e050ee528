-- move_money: the one way in which a balance changes; withdraw() and deposit()
-- call it. Not for applications: nobody but the owner may execute it.
--
-- Units    delta is signed minor units, not 0.
-- Locks    the one users row, until commit. One row, so waits but no deadlock.
-- Repeat   a request id seen before, for this user and this delta, returns its
--          first balance and entry and moves nothing.
-- Errors   23514 balance_not_negative           insufficient funds; DETAIL is
--                                               {"balance": n}, the balance as it is
--          23514 balance_within_json_integers   the same form
--          RF404 no such user
--          RF422 request id seen with another user, amount or operation
--          23505 one_entry_per_request          the same id is being used for
--                another user at this moment: repeat, and get RF422 or the entry
create function move_money(user_id bigint, delta bigint, request_id uuid)
returns table (balance bigint, entry_id bigint)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    balance_before bigint;
    seen           entries%rowtype;
    rule           text;
begin
    -- The lock comes first and the look for the request id is a statement of its
    -- own: it then sees what a twin of this request committed while we waited.
    select u.balance
      into balance_before
      from users as u
     where u.id = move_money.user_id
       for no key update;

    if not found then
        raise exception using
            errcode = 'RF404',
            message = format('there is no user %s', move_money.user_id);
    end if;

    select e.*
      into seen
      from entries as e
     where e.request_id = move_money.request_id;

    if found then
        if seen.user_id <> move_money.user_id or seen.amount <> move_money.delta then
            raise exception using
                errcode = 'RF422',
                message = format('request id %s was used for another movement', move_money.request_id);
        end if;
        return query select seen.balance_after, seen.id;
        return;
    end if;

    begin
        -- The balance that was read is not compared with the amount: the
        -- constraint judges the row that would come out, and has the last word.
        update users as u
           set balance = u.balance + move_money.delta
         where u.id = move_money.user_id
     returning u.balance into move_money.balance;
    exception when check_violation then
        get stacked diagnostics rule = constraint_name;
        raise check_violation using
            schema = 'public',
            table = 'users',
            column = 'balance',
            constraint = rule,
            message = format('user %s: a balance of %s does not allow a change of %s',
                             move_money.user_id, balance_before, move_money.delta),
            detail = jsonb_build_object('balance', balance_before)::text;
    end;

    insert into entries as e (user_id, amount, balance_after, request_id, created_at)
    values (move_money.user_id, move_money.delta, move_money.balance, move_money.request_id, clock_timestamp())
    returning e.id into move_money.entry_id;

    return next;
end;
$$;

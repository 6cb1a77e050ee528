-- post_batch: a crowd of movements in one transaction; what withdraw() and
-- deposit() do one by one, with the same outcomes in whatever batches.
--
-- Units    amounts are signed minor units: below 0 takes out, above 0 puts in, up
--          to 9007199254740991. All arrays have the same length; a null key is none,
--          a null client is '', and the arrays clients and keys may be null.
-- Returns  one row for each request, in order; position counts from 1. A refusal
--          is a row, never an error:
--            posted              balance just after it, and its entry
--            insufficient_funds  balance as it was at this place in the order
--            balance_limit       the same
--            user_not_found
--            request_id_reused   the id was used for another user or amount
--            key_reused          the key was used for another user or amount
--            locked              with skip_locked: somebody else holds the account;
--                                nothing was looked up, done or kept
--          request_id is the one under which the outcome was decided: the first
--          request's, where a key is repeated.
-- Repeat   a key seen before, with its user and amount, returns its first outcome,
--          refusals too, whatever the request id; a request id seen before, with its
--          user and amount, returns its entry. Both say replayed and move nothing.
-- Keeps    with a key: every outcome but key_reused and locked.
-- Locks    users by id, entries by request id, keys by client and key: each set in
--          its order and the sets in this order, so batches wait for each other
--          and don't deadlock; withdraw() and deposit() take the first two alike.
-- Errors   22023 see check_batch.sql
--          55P03 somebody holds an account for longer than lock_timeout: repeat with
--                skip_locked
--          23505 one_entry_per_request, one_outcome_per_key   the same id or key is
--                being used for another account at this moment: repeat
-- Plans    must not depend on the size that tables had when they were made, so the
--          choices that would are switched off, and no table stands in a join whose
--          order is free.
create function post_batch(
    user_ids bigint[], amounts bigint[], request_ids uuid[],
    clients text[] default null, keys text[] default null, skip_locked boolean default false
)
returns table (
    "position" integer, outcome text, balance bigint, entry_id bigint, replayed boolean, request_id uuid
)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    size          integer   := coalesce(cardinality(user_ids), 0); -- null: check_batch() refuses it
    account_ids   bigint[];  -- the locked accounts, ascending
    balances      bigint[];  -- their balances, as the decisions move them
    places        integer[]; -- where each request's account is among them; null: nowhere
    outcomes      text[]    := array_fill(null::text, array[size]);   -- null: not decided yet
    after         bigint[]  := array_fill(null::bigint, array[size]); -- what each returns as balance
    entry_ids     bigint[]  := array_fill(null::bigint, array[size]);
    repeats       boolean[] := array_fill(false, array[size]);
    moment        timestamptz;
    balance_after bigint;
    seen          record;
begin
    perform check_batch(user_ids, amounts, request_ids, clients, keys);

    -- 1. Lock the accounts.
    select held.ids, held.balances
      into account_ids, balances
      from lock_accounts(user_ids, skip_locked) as held;

    -- After the locks, so that it grows along each account's history.
    moment := clock_timestamp();

    -- A binary search for each request. The list comes from a subquery so that all
    -- searches share one flat copy; a variable would be flattened for each.
    places := array(
        select case when account_ids[found.place] = user_ids[found.i] then found.place end
          from (
              select i.i, width_bucket(user_ids[i.i], (select account_ids)) as place
                from generate_series(1, size) as i (i)
              offset 0
          ) as found
    );

    if skip_locked and array_position(places, null) is not null then
        for seen in
            select i.i
              from generate_series(1, size) as i (i)
             where places[i.i] is null
               and exists (select from users as u where u.id = user_ids[i.i] offset 0)
        loop
            outcomes[seen.i] := 'locked';
            keys[seen.i] := null;
        end loop;
    end if;

    -- 2. What was decided before. New statements, begun after the locks, see what
    -- others committed while we waited for those. Each found key leaves the array:
    -- what remains there is to be kept. A lateral subquery behind "offset 0" is
    -- looked up by its index once for each request; it can't become the outer side.
    if keys is not null then
        for seen in
            select i.i, k.*
              from generate_series(1, size) as i (i)
             cross join lateral (
                       select kept.*
                         from idempotency_keys as kept
                        where kept.client = coalesce(clients[i.i], '')
                          and kept.key = keys[i.i]
                       offset 0
                   ) as k
        loop
            keys[seen.i] := null;
            if seen.user_id = user_ids[seen.i] and seen.amount = amounts[seen.i] then
                outcomes[seen.i] := seen.outcome;
                after[seen.i] := seen.balance;
                entry_ids[seen.i] := seen.entry_id;
                request_ids[seen.i] := seen.request_id;
                repeats[seen.i] := true;
            else
                outcomes[seen.i] := 'key_reused';
            end if;
        end loop;
    end if;

    if exists (select from entries as e where e.request_id = any (request_ids)) then
        for seen in
            select i.i, e.*
              from generate_series(1, size) as i (i)
             cross join lateral (
                       select made.id, made.user_id, made.amount, made.balance_after
                         from entries as made
                        where made.request_id = request_ids[i.i]
                       offset 0
                   ) as e
             where outcomes[i.i] is null
               and places[i.i] is not null
        loop
            if seen.user_id = user_ids[seen.i] and seen.amount = amounts[seen.i] then
                outcomes[seen.i] := 'posted';
                after[seen.i] := seen.balance_after;
                entry_ids[seen.i] := seen.id;
                repeats[seen.i] := true;
            else
                outcomes[seen.i] := 'request_id_reused';
            end if;
        end loop;
    end if;

    -- 3. Decide the rest, in order: a refusal leaves the balance as it is for the next.
    for i in 1 .. size loop
        continue when outcomes[i] is not null;
        balance_after := balances[places[i]] + amounts[i];
        if balance_after between 0 and 9007199254740991 then
            balances[places[i]] := balance_after;
            after[i] := balance_after;
        elsif balance_after is null then
            outcomes[i] := 'user_not_found';
        else
            outcomes[i] := case when amounts[i] < 0 then 'insufficient_funds' else 'balance_limit' end;
            after[i] := balances[places[i]];
        end if;
    end loop;

    -- What is still undecided is posted: it gets its entry's id, after the locks and
    -- in the order of the requests.
    entry_ids := array(
        select case when outcomes[i.i] is null then nextval('entries_id_seq') else entry_ids[i.i] end
          from generate_series(1, size) as i (i)
    );

    -- 4. Write. The constraints judge the rows that come out, and have the last word.
    update users as u
       set balance = balances[width_bucket(u.id, (select account_ids))]
     where u.id = any (account_ids)
       and u.balance <> balances[width_bucket(u.id, (select account_ids))];

    insert into entries (id, user_id, amount, balance_after, request_id, created_at)
    overriding system value
    select entry_ids[i.i], user_ids[i.i], amounts[i.i], after[i.i], request_ids[i.i], moment
      from generate_series(1, size) as i (i)
     where outcomes[i.i] is null
     order by request_ids[i.i];

    if keys is not null then
        insert into idempotency_keys
               (client, key, operation, user_id, amount, request_id, outcome, balance, entry_id, created_at)
        select coalesce(clients[i.i], ''), keys[i.i], case when amounts[i.i] < 0 then 'withdraw' else 'deposit' end,
               user_ids[i.i], amounts[i.i], request_ids[i.i], coalesce(outcomes[i.i], 'posted'), after[i.i],
               entry_ids[i.i], moment
          from generate_series(1, size) as i (i)
         where keys[i.i] is not null
         order by coalesce(clients[i.i], '') collate "C", keys[i.i] collate "C";
    end if;

    return query
    select i.i, coalesce(outcomes[i.i], 'posted'), after[i.i], entry_ids[i.i], repeats[i.i], request_ids[i.i]
      from generate_series(1, size) with ordinality as i (i, n)
     order by i.n;
end;
$$;

-- balance_at: what an account's balance was at a moment.
--
-- Units    balance is minor units; moment is on the database's clock.
-- Returns  the balance after the last entry up to that moment; no row if the account
--          was opened later, or there is none.
-- Final    for moments that lie longer back than a movement may take: an entry has its
--          time before it commits.
-- Cost     an account's ids and times grow together, so the place is found by halving
--          the range of ids: some forty looks into an index, whatever the history.
-- Locks    none.
create function balance_at(user_id bigint, moment timestamptz)
returns table (balance bigint)
language plpgsql
stable
security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
as $$
declare
    low    entries%rowtype; -- is not after the moment
    probe  entries%rowtype;
    high   bigint;          -- the place is not behind this id
    middle bigint;
begin
    select e.*
      into low
      from entries as e
     where e.user_id = balance_at.user_id
     order by e.id
     limit 1;

    if not found or low.created_at > moment then
        return;
    end if;

    select max(e.id)
      into high
      from entries as e
     where e.user_id = balance_at.user_id;

    while low.id < high loop
        middle := low.id + (high - low.id + 1) / 2;

        select e.*
          into probe
          from entries as e
         where e.user_id = balance_at.user_id
           and e.id >= middle
         order by e.id
         limit 1;

        if probe.created_at <= moment then
            low := probe;
        else
            high := middle - 1;
        end if;
    end loop;

    balance := low.balance_after;
    return next;
end;
$$;

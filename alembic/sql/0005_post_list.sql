-- The one of the release before, which never waited.
drop function post_list(bigint[], bigint[], uuid[], text, text, uuid);


-- post_list: a list of movements that one client sent in one request. Decided in one
-- transaction: all of it, or nothing yet.
--
-- Units    as in post_batch(). key may be null; fingerprint names the list's content
--          and is compared when the key is seen again.
-- Waits    for accounts that somebody else holds as long as lock_timeout lets it, in
--          the queue of each; with skip_locked it does not, and fails with 55P03. Lists
--          that only skipped would starve each other, and beside a busy account.
-- Returns  as post_batch(), one row for each movement, in order.
-- Repeat   a key seen before with this fingerprint returns its first outcomes, refusals
--          too, and says replayed; with another, or of a single movement: key_reused
--          for each, and nothing moves.
-- Keeps    with a key: the outcomes of the whole list, in one row.
-- Locks    as post_batch(), then the one key.
-- Errors   22023 see check_batch.sql; a key without a fingerprint
--          55P03 somebody else holds one of the accounts: nothing was done; repeat
--          23505 one_entry_per_request, one_outcome_per_key   the same id or key is
--                being used at this moment: repeat
create function post_list(
    user_ids bigint[], amounts bigint[], request_ids uuid[],
    client text default '', key text default null, fingerprint uuid default null,
    skip_locked boolean default true
)
returns table (
    "position" integer, outcome text, balance bigint, entry_id bigint, replayed boolean, request_id uuid
)
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
as $$
declare
    kept      idempotency_keys%rowtype;
    outcomes  text[];
    balances  bigint[];
    entry_ids bigint[];
    repeats   boolean[];
begin
    if key is not null and fingerprint is null then
        raise exception using
            errcode = '22023',
            message = 'post_list(): a key needs the fingerprint of its list';
    end if;

    select k.*
      into kept
      from idempotency_keys as k
     where k.client = post_list.client
       and k.key = post_list.key;

    if found then
        if kept.operation = 'withdrawals' and kept.request_id = fingerprint then
            return query
            select i.n::integer, i.o, i.b, i.e, true, request_ids[i.n]
              from unnest(kept.outcomes, kept.balances, kept.entry_ids) with ordinality as i (o, b, e, n)
             order by i.n;
        else
            return query
            select i.n::integer, 'key_reused', null::bigint, null::bigint, false, i.id
              from unnest(request_ids) with ordinality as i (id, n)
             order by i.n;
        end if;
        return;
    end if;

    select array_agg(b.outcome order by b.position),
           array_agg(b.balance order by b.position),
           array_agg(b.entry_id order by b.position),
           array_agg(b.replayed order by b.position)
      into outcomes, balances, entry_ids, repeats
      from post_batch(user_ids, amounts, request_ids, skip_locked => post_list.skip_locked) as b;

    if 'locked' = any (outcomes) then
        raise exception using
            errcode = '55P03',
            message = 'post_list(): somebody else holds one of the accounts';
    end if;

    if key is not null then
        insert into idempotency_keys (client, key, operation, request_id, outcomes, balances, entry_ids, created_at)
        values (post_list.client, post_list.key, 'withdrawals', fingerprint,
                outcomes, balances, entry_ids, clock_timestamp());
    end if;

    return query
    select i.n::integer, i.o, i.b, i.e, i.r, request_ids[i.n]
      from unnest(outcomes, balances, entry_ids, repeats) with ordinality as i (o, b, e, r, n)
     order by i.n;
end;
$$;

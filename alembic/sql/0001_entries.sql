-- entries: the ledger, one immutable row for each change of one balance.
--
-- Sum         the entries of a user add up to the balance, from the opening
--             entry on.
-- Order       id and created_at are taken after the user's row is locked, so
--             both grow along each user's history; that needs a sequence without
--             a cache.
-- Repeats     request_id is unique: a movement that is sent again after a lost
--             answer counts once.
-- No foreign key to users: it cost a quarter of the throughput, and only the
-- functions of this schema write here.
create table entries (
    id            bigint generated always as identity (cache 1),
    user_id       bigint not null,
    amount        bigint not null,
    balance_after bigint not null,
    request_id    uuid not null,
    created_at    timestamptz not null default clock_timestamp(),

    constraint entries_pkey primary key (id),
    constraint one_entry_per_request unique (request_id),
    constraint entry_balance_not_negative check (balance_after >= 0)
);

create index entries_by_user on entries (user_id, id);

comment on table entries is 'Append-only ledger: signed amounts; their sum is the balance.';


-- refuse_ledger_change: keeps history as it was written.
--
-- Errors   RF403   always
create function refuse_ledger_change()
returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    raise exception using
        errcode = 'RF403',
        table = 'entries',
        message = format('the ledger is append-only: %s on entries is refused', lower(tg_op)),
        hint = 'Correct a movement with another movement.';
end;
$$;

create trigger entries_are_append_only
before update or delete or truncate on entries
for each statement execute function refuse_ledger_change();

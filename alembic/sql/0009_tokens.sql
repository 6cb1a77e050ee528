-- tokens: who may ask the service for what. The secret itself is nowhere: digest is the
-- SHA-256 of the whole token, whose secret has 256 random bits, so that no slow hash is
-- needed and none can be turned back.
--
-- scopes       money, read, operate, admin (which implies the others).
-- user_id      the one account that the token is for; null for all. Such a token moves
--              money and reads, and nothing else.
-- expires_at   null: never. Judged by the database's clock.
-- last_used_at to the minute or so, and only while a node reaches the database.
create table tokens (
    id           text not null collate "C",
    name         text not null,
    digest       bytea not null,
    scopes       text[] not null,
    user_id      bigint,
    created_at   timestamptz not null default clock_timestamp(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,

    constraint tokens_pkey primary key (id),
    constraint token_id_form check (id ~ '^[0-9a-f]{12}$'),
    constraint token_name_short check (length(name) <= 100),
    constraint token_digest_is_sha256 check (octet_length(digest) = 32),
    constraint token_scopes_known check (
        cardinality(scopes) between 1 and 4 and scopes <@ array['money', 'read', 'operate', 'admin']
    ),
    constraint token_of_one_account_is_limited check (user_id is null or scopes <@ array['money', 'read'])
);

comment on table tokens is 'Who may ask for what; digests alone. Use create_token() and revoke_token().';


-- tell_tokens: lets every node read the tokens again. last_used_at is no reason to.
create function tell_tokens()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform pg_notify('token_events', coalesce(new.id, old.id));
    return null;
end;
$$;

create trigger token_changed
after insert or delete or update of digest, scopes, user_id, expires_at, revoked_at on tokens
for each row execute function tell_tokens();

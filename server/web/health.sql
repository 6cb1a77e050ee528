-- What the readiness check asks of the database.

-- name: takes_writes
-- Fails with 25006 on a server that takes no writes, as any write would, and writes nothing.
do $$
begin
    if current_setting('transaction_read_only')::boolean then
        raise exception 'the session is read-only'
              using errcode = 'read_only_sql_transaction';
    end if;
end
$$;

-- assert_run: lets a job's transaction commit only while its run is its own.
--
-- Called   by a job, on its own connection, inside the transaction that writes.
-- Locks    the run with KEY SHARE until the end of that transaction: whoever takes
--          the run away takes FOR UPDATE first, and so waits for the commit.
-- Limits   the transaction to what is left of the lease, since the open
--          transaction of a frozen process would hold up the takeover.
-- Errors   RF410 the run is not running any more, or its lease has passed
create function assert_run(run_id bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    holder   record;
    left_ms  bigint;
begin
    select r.task_name, r.node_name, r.incarnation
      into holder
      from runs as r
     where r.id = assert_run.run_id
       and r.status = 'running'
       for key share;

    if not found then
        raise exception using
            errcode = 'RF410',
            message = format('run %s is not running any more', assert_run.run_id);
    end if;

    select floor(extract(epoch from n.lease_expires_at - clock_timestamp()) * 1000)
      into left_ms
      from nodes as n
     where n.name = holder.node_name
       and n.incarnation = holder.incarnation
       and n.state <> 'dead';

    if left_ms is null or left_ms < 1 then
        raise exception using
            errcode = 'RF410',
            message = format('the lease under run %s has passed', assert_run.run_id);
    end if;

    if current_setting('server_version_num')::integer >= 170000 then
        perform set_config('transaction_timeout', left_ms::text, true);
    else
        perform set_config('statement_timeout', left_ms::text, true);
        perform set_config('idle_in_transaction_session_timeout', left_ms::text, true);
    end if;
end;
$$;

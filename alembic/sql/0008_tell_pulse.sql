-- tell_pulse: adds what the money path of one node did since it told last.
--
-- Locks      the node's own row of this second; old rows that nobody else deletes.
-- Repeat     counts again: a figure to watch may be wrong by a lost answer.
-- Returns    how far the current second has gone on this clock, 0 to 1, so that a
--            node can tell in the middle of each second and leave none out.
-- Errors     23502, 23514 a figure missing, or a name too long
create function tell_pulse(
    node        text,
    withdrawals bigint,
    deposits    bigint,
    refused     bigint,
    batches     bigint,
    movements   bigint,
    largest     bigint
)
returns double precision
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    now_at timestamptz := clock_timestamp();
    this_second timestamptz := date_trunc('second', now_at);
begin
    insert into money_pulse as p
           (second, node, withdrawals, deposits, refused, batches, movements, largest)
    values (
        this_second, tell_pulse.node, tell_pulse.withdrawals, tell_pulse.deposits,
        tell_pulse.refused, tell_pulse.batches, tell_pulse.movements, tell_pulse.largest
    )
        on conflict on constraint money_pulse_pkey do update
       set withdrawals = p.withdrawals + excluded.withdrawals,
           deposits = p.deposits + excluded.deposits,
           refused = p.refused + excluded.refused,
           batches = p.batches + excluded.batches,
           movements = p.movements + excluded.movements,
           largest = greatest(p.largest, excluded.largest);

    -- Whoever tells cleans up; two that do it at once don't wait for each other.
    delete from money_pulse as p
     where p.ctid = any (array(
               select old.ctid
                 from money_pulse as old
                where old.second < now_at - interval '10 minutes'
                  for update skip locked
           ));
    return extract(epoch from now_at - this_second);
end;
$$;

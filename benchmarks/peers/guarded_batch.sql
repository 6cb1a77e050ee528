-- guarded_batch: what one writes first for a batch whose items must not spoil each
-- other: a loop, and in it an exception block, an update and an insert for each.
--
-- Every block is a subtransaction, and every update of the same row leaves a version
-- behind that the next one has to pass, so it grows worse with the size of the batch.
create function guarded_batch(user_ids bigint[], amounts bigint[], request_ids uuid[])
returns table ("position" integer, outcome text, balance bigint, entry_id bigint)
language plpgsql
as $$
#variable_conflict use_column
begin
    for i in 1 .. cardinality(user_ids) loop
        guarded_batch.position := i;
        guarded_batch.outcome := 'posted';
        guarded_batch.entry_id := null;
        begin
            update users as u
               set balance = u.balance + amounts[i]
             where u.id = user_ids[i]
         returning u.balance into guarded_batch.balance;

            if found then
                insert into entries as e (user_id, amount, balance_after, request_id)
                values (user_ids[i], amounts[i], guarded_batch.balance, request_ids[i])
             returning e.id into guarded_batch.entry_id;
            else
                guarded_batch.outcome := 'user_not_found';
            end if;
        exception when check_violation then
            guarded_batch.outcome := 'insufficient_funds';
        end;
        return next;
    end loop;
end;
$$;

-- check_batch: refuses a call of post_batch() that no client can have meant.
--
-- Every such call is a defect of the caller, so it is an error and not an outcome.
--
-- Errors   22023   always; the message says which rule
create function check_batch(
    user_ids bigint[], amounts bigint[], request_ids uuid[], clients text[], keys text[]
)
returns void
language plpgsql
stable
set search_path = pg_catalog, public, pg_temp
as $$
declare
    -- array_dims tells the length and the lower bound of each dimension at once;
    -- null for an empty array.
    form  text := coalesce('[1:' || nullif(cardinality(user_ids), 0) || ']', '[]');
    fault text;
begin
    fault := case
        when user_ids is null or amounts is null or request_ids is null
            then 'user_ids, amounts and request_ids must not be null'
        when cardinality(user_ids) > 100000
            then 'a batch has at most 100000 requests'
        when coalesce(array_dims(user_ids), '[]') <> form
          or coalesce(array_dims(amounts), '[]') <> form
          or coalesce(array_dims(request_ids), '[]') <> form
          or keys is not null and coalesce(array_dims(keys), '[]') <> form
          or clients is not null and coalesce(array_dims(clients), '[]') <> form
            then 'all arrays must have one dimension, the same length, and start at 1'
        when array_position(user_ids, null) is not null
          or array_position(amounts, null) is not null
          or array_position(request_ids, null) is not null
            then 'a user id, an amount or a request id is null'
        when 0 = any (amounts) or 9007199254740991 < any (amounts)
            then 'an amount is 0, or above 9007199254740991'
        when exists (select from unnest(request_ids) as r (id) group by r.id having count(*) > 1)
            then 'a request id occurs twice'
    end;

    if fault is null and keys is not null then
        fault := case
            when exists (
                     select
                       from unnest(clients, keys) as k (client, key)
                      where length(k.key) not between 1 and 255
                         or length(k.client) > 255
                 )
                then 'a key must have 1 to 255 characters, and a client at most 255'
            when exists (
                     select
                       from unnest(clients, keys) as k (client, key)
                      where k.key is not null
                      group by coalesce(k.client, ''), k.key
                     having count(*) > 1
                 )
                then 'a key occurs twice'
        end;
    end if;

    if fault is not null then
        raise exception using
            errcode = '22023',
            message = 'post_batch(): ' || fault;
    end if;
end;
$$;

-- The way back from 0005; the post_list() of 0003 is made again after it.
drop function post_list(bigint[], bigint[], uuid[], text, text, uuid, boolean);

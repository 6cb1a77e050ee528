-- The way back from 0001: the tables go with all that is in them.
drop function grant_application_rights(regrole);
drop function deposit(bigint, bigint, uuid);
drop function withdraw(bigint, bigint, uuid);
drop function move_money(bigint, bigint, uuid);
drop function open_account(bigint, uuid);
drop table entries;
drop function refuse_ledger_change();
drop table users;

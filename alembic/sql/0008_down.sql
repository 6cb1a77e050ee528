-- The way back from 0008: the figures of the last minutes go.
drop function tell_pulse(text, bigint, bigint, bigint, bigint, bigint, bigint);
drop table money_pulse;

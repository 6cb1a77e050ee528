-- The way back from 0006; both functions of the file 0002_sweep.sql are made again after it.
drop function sweep(timestamptz);
drop function declare_dead(text, bigint, text);

-- money_pulse: what the money path of each node did in each of the last seconds.
--
-- Figures to watch, and no ledger: nothing else may rest on them. So the table is
-- unlogged: it costs the flush to disk of nobody, and is empty after a crash.
--
-- second       a whole second of the database's clock, in which a node told
-- withdrawals  that took effect; deposits likewise
-- refused      movements that were decided and moved nothing
-- movements    all that were decided in batches, repetitions included
-- largest      the most movements in one batch
--
-- Written by tell_pulse() alone, which also forgets what is old.
create unlogged table money_pulse (
    second      timestamptz not null,
    node        text not null,
    withdrawals bigint not null,
    deposits    bigint not null,
    refused     bigint not null,
    batches     bigint not null,
    movements   bigint not null,
    largest     bigint not null,

    constraint money_pulse_pkey primary key (second, node),
    constraint money_pulse_node_short check (length(node) between 1 and 100)
);

comment on table money_pulse is 'What the money path did lately, second by second; lost in a crash.';

-- cluster_clock: what a node must see advance steadily before it may judge leases.
--
-- server_started   changes when PostgreSQL restarts.
-- timeline         changes when a replica is promoted; the time of a promotion
--                  can't be asked, the timeline can. Null on a replica.
create function cluster_clock()
returns table (clock timestamptz, server_started timestamptz, timeline text)
language sql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select clock_timestamp(),
           pg_postmaster_start_time(),
           case when not pg_is_in_recovery()
                then left(pg_walfile_name(pg_current_wal_lsn()), 8)
           end;
$$;

-- What the check of bloat asks. Sizes are bytes. Estimates use the column widths that
-- ANALYZE found; without them an estimate is null, never a guess.

-- name: tables
-- Every table: rows alive and dead, how updates went, its sizes, and the size that its
-- rows need (28 bytes a row for header and line pointer, 24 a page) at its fillfactor.
select s.relname as name,
       s.n_live_tup as live_rows,
       s.n_dead_tup as dead_rows,
       s.n_tup_upd as updates,
       s.n_tup_hot_upd as hot_updates,
       pg_relation_size(s.relid) as size_bytes,
       pg_indexes_size(s.relid) as indexes_bytes,
       (
           ceil(s.n_live_tup * (28 + widths.row_bytes)
                / ((page.page_bytes - 24) * coalesce(options.fillfactor, 100) / 100.0)) * page.page_bytes
       )::bigint as needed_bytes
  from pg_stat_user_tables as s
  join pg_class as c on c.oid = s.relid
 cross join (select current_setting('block_size')::integer as page_bytes) as page
  left join lateral (
           select max(o.option_value)::integer as fillfactor
             from pg_options_to_table(c.reloptions) as o
            where o.option_name = 'fillfactor'
       ) as options on true
  left join lateral (
           select sum(p.avg_width * (1 - p.null_frac)) as row_bytes
             from pg_stats as p
            where p.schemaname = s.schemaname
              and p.tablename = s.relname
       ) as widths on true
 where s.schemaname = 'public'
 order by size_bytes desc, s.relname
 limit %(relations_max)s;

-- name: indexes
-- Every B-tree index: its size and scans, and the size that its keys need (12 bytes an
-- entry for header and line pointer, rounded up to 8, pages filled to nine tenths).
select s.indexrelname as name,
       s.relname as table_name,
       s.idx_scan as scans,
       pg_relation_size(s.indexrelid) as size_bytes,
       (
           (1 + ceil(greatest(c.reltuples, 0) * (12 + 8 * ceil(widths.key_bytes / 8.0))
                     / ((page.page_bytes - 40) * 0.9))) * page.page_bytes
       )::bigint as needed_bytes
  from pg_stat_user_indexes as s
  join pg_class as c on c.oid = s.indexrelid
  join pg_am as m on m.oid = c.relam and m.amname = 'btree'
  join pg_index as i on i.indexrelid = s.indexrelid
 cross join (select current_setting('block_size')::integer as page_bytes) as page
  left join lateral (
           select sum(p.avg_width) as key_bytes
             from pg_attribute as a
             join pg_stats as p on p.schemaname = s.schemaname and p.tablename = s.relname and p.attname = a.attname
            where a.attrelid = i.indrelid
              and a.attnum = any (i.indkey)
       ) as widths on true
 where s.schemaname = 'public'
 order by size_bytes desc, s.indexrelname
 limit %(relations_max)s;

-- name: oldest_snapshot
-- What reaches furthest back of all that keeps dead rows from being removed, in
-- transactions since then; no row when nothing does. Any role may see this of any session.
--
-- Of another database's session its snapshot does not count, but its transaction does once it
-- has written: every snapshot that is taken here reaches back to it, so nothing is removed
-- beside an update, only by a vacuum that finds this database without a snapshot. Without a
-- database are the senders of the log, which pass on what their standbys still read.
select held.transactions,
       held.holder
  from (
           select greatest(age(a.backend_xmin), age(a.backend_xid)) as transactions,
                  format('session %%s of %%s', a.pid, a.usename) as holder
             from pg_stat_activity as a
            where (a.datname = current_database() or a.datname is null)
              and a.pid <> pg_backend_pid()
            union all
           select age(a.backend_xid),
                  format('session %%s of %%s on the database %%s', a.pid, a.usename, a.datname)
             from pg_stat_activity as a
            where a.datname <> current_database()
            union all
           select age(p.transaction),
                  format('prepared transaction %%s of the database %%s', p.gid, p.database)
             from pg_prepared_xacts as p
            union all
           select greatest(age(s.xmin), age(s.catalog_xmin)),
                  format('replication slot %%s', s.slot_name)
             from pg_replication_slots as s
       ) as held
 where held.transactions is not null
 order by held.transactions desc
 limit 1;

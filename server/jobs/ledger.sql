-- What the jobs ask of the ledger. Entries never change and an account's ids grow, so
-- the sum up to a known entry may be taken in many short statements, and is exact.

-- name: count_accounts
-- How many accounts there are, and the last of them.
select count(*) as accounts,
       coalesce(max(u.id), 0) as last_id
  from users as u;

-- name: balances_in_range
-- A page of accounts with each one's newest entry. Balance and entry are of one
-- snapshot, so the sum up to that entry must be the balance.
select u.id as user_id,
       u.balance,
       coalesce(newest.id, 0) as newest_id
  from users as u
  left join lateral (
           select e.id
             from entries as e
            where e.user_id = u.id
            order by e.id desc
            limit 1
       ) as newest on true
 where u.id > %(after_id)s
   and u.id <= %(last_id)s
 order by u.id
 limit %(accounts_max)s;

-- name: sums_in_range
-- For each of some accounts the sum of a limited number of entries: those behind
-- after_id, up to newest_id. The limit keeps the inner query a walk of the index.
select wanted.user_id,
       part.amount,
       part.entries,
       part.newest_id
  from unnest(%(user_ids)s::bigint[], %(after_ids)s::bigint[], %(newest_ids)s::bigint[])
       as wanted (user_id, after_id, newest_id)
 cross join lateral (
           select coalesce(sum(page.amount), 0) as amount,
                  count(*) as entries,
                  max(page.id) as newest_id
             from (
                      select e.id, e.amount
                        from entries as e
                       where e.user_id = wanted.user_id
                         and e.id > wanted.after_id
                         and e.id <= wanted.newest_id
                       order by e.id
                       limit %(entries_max)s
                  ) as page
       ) as part;

-- name: window_of_hours
-- The hours to count: whole ones up to the running one, which ends some seconds ago.
-- An entry takes its id and time before it commits; the youngest may still be missing.
select coalesce(min(e.id), 1) as first_id,
       coalesce(max(e.id), 0) as last_id,
       date_trunc('hour', clock_timestamp(), 'UTC') - make_interval(hours => %(hours)s - 1) as since,
       clock_timestamp() - make_interval(secs => %(settle_seconds)s) as until
  from entries as e;

-- name: first_entry_from
-- The first entry at or behind an id, for the search of the place where a time begins.
select e.id,
       e.created_at
  from entries as e
 where e.id >= %(id)s
 order by e.id
 limit 1;

-- name: volume_by_hour
-- A page of entries, counted by hour; a row without an hour is outside the window.
select case
           when page.created_at >= %(since)s and page.created_at < %(until)s
           then date_trunc('hour', page.created_at, 'UTC')
       end as hour,
       count(*) as entries,
       coalesce(sum(page.amount) filter (where page.amount > 0), 0) as money_in,
       coalesce(-sum(page.amount) filter (where page.amount < 0), 0) as money_out,
       max(page.id) as newest_id
  from (
           select e.id, e.amount, e.created_at
             from entries as e
            where e.id > %(after_id)s
              and e.id <= %(last_id)s
            order by e.id
            limit %(entries_max)s
       ) as page
 group by 1;

-- What each session of a job begins with.

-- name: only_read
-- Makes every later transaction of the session refuse to write, and end in time.
select set_config('default_transaction_read_only', 'on', false),
       set_config('statement_timeout', '60s', false),
       set_config('lock_timeout', '5s', false);

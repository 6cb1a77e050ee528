-- What the readiness check asks of the database.

-- name: answers
select 1;

-- The roles and the database of Ringfence on a new pair; psql runs it once (see patroni.yml).
-- The passwords come from the environment, so that no list of processes shows them.
\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv application_password DATABASE_APPLICATION_PASSWORD

-- For migrations alone: database.owner_url.
create role ringfence_owner login password :'owner_password';

-- What the service connects as: database.url. Migrations give it its rights.
create role ringfence login password :'application_password';

create database ringfence owner ringfence_owner;

revoke all on database ringfence from public;

grant connect, temporary on database ringfence to ringfence;

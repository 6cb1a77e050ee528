-- The roles and the database of a new embedded PostgreSQL (see data_folder.py).
-- Whoever reaches the socket may be any role, the superuser too: here the roles
-- guard against mistakes; against intruders the folder of the socket does.

-- Owns every object and cannot log in: `set role` by the superuser is the way.
create role ringfence_owner nologin;

-- What the service connects as; migrations give it its rights.
create role ringfence login;

create database ringfence owner ringfence_owner;

revoke all on database ringfence from public;

grant connect, temporary on database ringfence to ringfence;

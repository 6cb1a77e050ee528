-- grant_application_rights: gives the application's role what it needs and no
-- more: it reads every table, executes the public functions, and writes nothing
-- by itself. `ringfence migrate` calls it after each upgrade.
--
-- Repeat   any number of times, with the same end.
-- Errors   22023 the role owns the tables: then rights cannot protect them
create function grant_application_rights(application_role regrole)
returns void
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    routine regprocedure;
begin
    if application_role::oid = (select c.relowner from pg_class as c where c.oid = 'public.users'::regclass) then
        raise exception using
            errcode = '22023',
            message = format('role %s owns the tables, so its rights cannot be limited', application_role);
    end if;

    execute format('revoke all on all tables in schema public from %s', application_role);
    execute format('grant usage on schema public to %s', application_role);
    execute format('grant select on all tables in schema public to %s', application_role);

    -- What runs with the owner's rights (security definer) is what was made for
    -- applications; triggers cannot be called, and the rest is internal.
    for routine in
        select p.oid::regprocedure
          from pg_proc as p
         where p.pronamespace = 'public'::regnamespace
           and p.proowner = (select c.relowner from pg_class as c where c.oid = 'public.users'::regclass)
    loop
        execute format('revoke all on function %s from public, %s', routine, application_role);
        if (select p.prosecdef and p.prorettype <> 'trigger'::regtype from pg_proc as p where p.oid = routine) then
            execute format('grant execute on function %s to %s', routine, application_role);
        end if;
    end loop;
end;
$$;

-- The roles (design: log.md, "Database roles"). Roles belong to the whole server, so those that exist are left as they
-- are: their passwords are the operator's. This runs as cordon_owner, which owns every table and serves nobody.
--
-- cordon_app      serves. Gets what each later migration grants it, never DDL.
-- cordon_auditor  selects through views.
-- cordon_eraser   may only execute functions that demand an approved request.
-- cordon_figures  what clocks and figures become (SET ROLE) inside cordon_app: headers and extracts only.
DO $$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN
    SELECT *
    FROM (VALUES ('cordon_app', 'LOGIN'), ('cordon_auditor', 'NOLOGIN'), ('cordon_eraser', 'NOLOGIN'), ('cordon_figures', 'NOLOGIN'))
      AS roles (name, login)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
      EXECUTE format('CREATE ROLE %I %s NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', wanted.name, wanted.login);
    END IF;
    IF (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = wanted.name) THEN
      RAISE EXCEPTION 'the role % is a superuser or bypasses row-level security', wanted.name
        USING HINT = format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', wanted.name);
    END IF;
  END LOOP;
  -- Membership without inheritance: the rights come only with an explicit SET ROLE, and are then the only ones.
  IF NOT pg_has_role('cordon_app', 'cordon_figures', 'SET') THEN
    GRANT cordon_figures TO cordon_app WITH INHERIT FALSE, SET TRUE;
  END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO cordon_app, cordon_auditor, cordon_eraser', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO cordon_app, cordon_auditor, cordon_eraser, cordon_figures;

-- Functions are executable by everybody unless said otherwise; here nothing is.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- The service compares the schema with its own at start.
GRANT SELECT ON schema_migration TO cordon_app;

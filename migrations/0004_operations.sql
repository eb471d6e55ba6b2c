-- Closed user groups (design: protocol.md, "Operations, members, compartments"). The log decides; these rows repeat what its
-- entries say so that requests can ask, and keep the statements that its entries commit to.

CREATE TABLE operation (
  id uuid CONSTRAINT operation_pkey PRIMARY KEY,
  name text NOT NULL,
  reference text NOT NULL,
  time_zone text NOT NULL,
  state text NOT NULL CONSTRAINT operation_state CHECK (state IN ('draft', 'rehearsal', 'active', 'reporting', 'closed', 'archived')),
  created_at timestamptz NOT NULL,
  CONSTRAINT operation_has_log FOREIGN KEY (id) REFERENCES log (id)
);

CREATE TABLE operation_organization (
  operation_id uuid NOT NULL CONSTRAINT operation_organization_operation_fkey REFERENCES operation,
  organization_id uuid NOT NULL CONSTRAINT operation_organization_organization_fkey REFERENCES organization,
  admitted_index bigint NOT NULL,
  CONSTRAINT operation_organization_pkey PRIMARY KEY (operation_id, organization_id)
);

CREATE TABLE member (
  operation_id uuid NOT NULL CONSTRAINT member_operation_fkey REFERENCES operation,
  person_id uuid NOT NULL CONSTRAINT member_person_fkey REFERENCES person,
  organization_id uuid NOT NULL,
  role text NOT NULL,
  asleep boolean NOT NULL DEFAULT false,
  joined_index bigint NOT NULL,
  CONSTRAINT member_pkey PRIMARY KEY (operation_id, person_id)
);
CREATE INDEX member_person_idx ON member (person_id);

CREATE TABLE compartment (
  operation_id uuid NOT NULL CONSTRAINT compartment_operation_fkey REFERENCES operation,
  id uuid NOT NULL,
  name text NOT NULL,
  created_index bigint NOT NULL,
  CONSTRAINT compartment_pkey PRIMARY KEY (operation_id, id)
);

CREATE TABLE compartment_member (
  operation_id uuid NOT NULL,
  compartment_id uuid NOT NULL,
  person_id uuid NOT NULL,
  joined_index bigint NOT NULL,
  CONSTRAINT compartment_member_pkey PRIMARY KEY (operation_id, compartment_id, person_id),
  CONSTRAINT compartment_member_compartment_fkey FOREIGN KEY (operation_id, compartment_id) REFERENCES compartment (operation_id, id)
);

CREATE TABLE member_statement (
  operation_id uuid NOT NULL CONSTRAINT member_statement_operation_fkey REFERENCES operation,
  hash text NOT NULL,
  jws text NOT NULL,
  CONSTRAINT member_statement_pkey PRIMARY KEY (operation_id, hash)
);

CREATE TABLE epoch (
  operation_id uuid NOT NULL CONSTRAINT epoch_operation_fkey REFERENCES operation,
  compartment_id uuid NOT NULL,
  number integer NOT NULL,
  hash text NOT NULL,
  jws text NOT NULL,
  CONSTRAINT epoch_pkey PRIMARY KEY (operation_id, compartment_id, number),
  CONSTRAINT epoch_hash_key UNIQUE (operation_id, hash)
);

-- One key of one epoch, sealed to one device. A later grant replaces none: the newest is served.
CREATE TABLE epoch_grant (
  operation_id uuid NOT NULL,
  compartment_id uuid NOT NULL,
  epoch integer NOT NULL,
  device_id text NOT NULL,
  given_index bigint NOT NULL,
  sealed text NOT NULL,
  CONSTRAINT epoch_grant_pkey PRIMARY KEY (operation_id, device_id, compartment_id, epoch, given_index),
  CONSTRAINT epoch_grant_epoch_fkey FOREIGN KEY (operation_id, compartment_id, epoch) REFERENCES epoch
);

CREATE TRIGGER member_statement_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON member_statement
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER epoch_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON epoch
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER epoch_grant_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON epoch_grant
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT, UPDATE ON operation TO cordon_app;
GRANT SELECT, INSERT, DELETE ON operation_organization, compartment_member TO cordon_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON member TO cordon_app;
GRANT SELECT, INSERT ON compartment, member_statement, epoch, epoch_grant TO cordon_app;
GRANT SELECT ON operation, operation_organization, member, compartment, compartment_member, member_statement, epoch TO cordon_auditor;

-- The second line. A request names its person and sees the operations in which that person is a member; the appender and
-- the followers name a log and see that operation.
CREATE FUNCTION operations_of_person(asked uuid) RETURNS SETOF uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT operation_id FROM public.member WHERE person_id = asked $$;
CREATE FUNCTION current_person() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('cordon.person', true), '')::uuid;
GRANT EXECUTE ON FUNCTION operations_of_person(uuid), current_person() TO cordon_app, cordon_figures;

DO $$
DECLARE
  owned text;
  key text;
BEGIN
  FOREACH owned IN ARRAY ARRAY['operation', 'operation_organization', 'member', 'compartment', 'compartment_member',
                               'member_statement', 'epoch', 'epoch_grant']
  LOOP
    key := CASE owned WHEN 'operation' THEN 'id' ELSE 'operation_id' END;
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', owned);
    EXECUTE format('CREATE POLICY of_log ON %I TO cordon_app USING (%I = current_log())', owned, key);
    EXECUTE format('CREATE POLICY of_person ON %I FOR SELECT TO cordon_app USING (%I IN (SELECT operations_of_person(current_person())))', owned, key);
    EXECUTE format('CREATE POLICY for_auditor ON %I FOR SELECT TO cordon_auditor, cordon_owner USING (true)', owned);
  END LOOP;
END
$$;

-- In the logs, a request of a member reads what its operations have.
CREATE POLICY of_person ON log FOR SELECT TO cordon_app USING (id IN (SELECT operations_of_person(current_person())));
CREATE POLICY of_person ON log_entry FOR SELECT TO cordon_app USING (log_id IN (SELECT operations_of_person(current_person())));

-- Which operations hear of a device that comes or goes, and which operations there are.
CREATE FUNCTION operations_of_people(asked uuid[]) RETURNS SETOF uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT DISTINCT operation_id FROM public.member WHERE person_id = ANY (asked) ORDER BY operation_id $$;
GRANT EXECUTE ON FUNCTION operations_of_people(uuid[]) TO cordon_app;

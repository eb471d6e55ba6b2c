-- Messages (design: protocol.md, "Messages"): the signed statement, the sealed body, the extract in the clear with its salt.

CREATE TABLE thread (
  operation_id uuid NOT NULL CONSTRAINT thread_operation_fkey REFERENCES operation,
  id uuid NOT NULL,
  compartment_id uuid NOT NULL,
  CONSTRAINT thread_pkey PRIMARY KEY (operation_id, id)
);

-- Everything beside jws repeats what the statement says, for queries; the verifier compares each column with it.
CREATE TABLE message (
  operation_id uuid NOT NULL CONSTRAINT message_operation_fkey REFERENCES operation,
  id uuid NOT NULL,
  log_index bigint NOT NULL,
  hash text NOT NULL,
  jws text NOT NULL,
  thread_id uuid NOT NULL,
  compartment_id uuid NOT NULL,
  device_id text NOT NULL,
  person_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  form text NOT NULL,
  form_version integer NOT NULL,
  precedence text NOT NULL,
  exercise boolean NOT NULL,
  refers_as text,
  refers_to uuid,
  -- The first message of a chain of corrections and withdrawals; its own id for every other message.
  stands_for uuid NOT NULL,
  CONSTRAINT message_pkey PRIMARY KEY (operation_id, id),
  CONSTRAINT message_index_key UNIQUE (operation_id, log_index),
  CONSTRAINT message_thread_fkey FOREIGN KEY (operation_id, thread_id) REFERENCES thread (operation_id, id),
  CONSTRAINT message_refers_to_fkey FOREIGN KEY (operation_id, refers_to) REFERENCES message (operation_id, id)
);
CREATE INDEX message_thread_idx ON message (operation_id, thread_id, log_index);
CREATE INDEX message_form_idx ON message (operation_id, form, log_index);

CREATE TABLE body (
  operation_id uuid NOT NULL,
  message_id uuid NOT NULL,
  jwe text NOT NULL,
  CONSTRAINT body_pkey PRIMARY KEY (operation_id, message_id),
  CONSTRAINT body_message_fkey FOREIGN KEY (operation_id, message_id) REFERENCES message (operation_id, id)
);

CREATE TABLE extract (
  operation_id uuid NOT NULL,
  message_id uuid NOT NULL,
  salt text NOT NULL,
  content text NOT NULL,
  CONSTRAINT extract_pkey PRIMARY KEY (operation_id, message_id),
  CONSTRAINT extract_message_fkey FOREIGN KEY (operation_id, message_id) REFERENCES message (operation_id, id)
);

-- Up to where a member's devices have what they were sent, one row for each step forward.
CREATE TABLE delivery (
  operation_id uuid NOT NULL CONSTRAINT delivery_operation_fkey REFERENCES operation,
  person_id uuid NOT NULL,
  up_to bigint NOT NULL,
  organization_id uuid NOT NULL,
  at timestamptz NOT NULL,
  CONSTRAINT delivery_pkey PRIMARY KEY (operation_id, person_id, up_to)
);

CREATE TABLE message_read (
  operation_id uuid NOT NULL,
  message_id uuid NOT NULL,
  person_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  log_index bigint NOT NULL,
  at timestamptz NOT NULL,
  CONSTRAINT message_read_pkey PRIMARY KEY (operation_id, message_id, person_id),
  CONSTRAINT message_read_message_fkey FOREIGN KEY (operation_id, message_id) REFERENCES message (operation_id, id)
);
CREATE INDEX message_read_index_idx ON message_read (operation_id, log_index);

-- The key by which an organization's imports name their rows, sealed to its devices that may import.
CREATE TABLE import_key (
  operation_id uuid NOT NULL CONSTRAINT import_key_operation_fkey REFERENCES operation,
  organization_id uuid NOT NULL,
  device_id text NOT NULL,
  sealed text NOT NULL,
  CONSTRAINT import_key_pkey PRIMARY KEY (operation_id, organization_id, device_id)
);

CREATE TRIGGER message_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON message
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER body_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON body
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER extract_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON extract
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON thread, message, body, extract, delivery, message_read, import_key TO cordon_app;
GRANT SELECT ON thread, message TO cordon_auditor;
-- Figures see headers and extracts, nothing else.
GRANT SELECT (operation_id, id, log_index, thread_id, compartment_id, organization_id, form, exercise, refers_as, stands_for) ON message TO cordon_figures;
GRANT SELECT (operation_id, message_id, content) ON extract TO cordon_figures;
-- Up to which entry figures go, and on which day a message came.
GRANT SELECT (log_id, index, at) ON log_entry TO cordon_figures;
CREATE POLICY of_figures ON log_entry FOR SELECT TO cordon_figures USING (log_id IN (SELECT operations_of_person(current_person())));

DO $$
DECLARE
  owned text;
BEGIN
  FOREACH owned IN ARRAY ARRAY['thread', 'message', 'body', 'extract', 'delivery', 'message_read', 'import_key']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', owned);
    EXECUTE format('CREATE POLICY of_log ON %I TO cordon_app USING (operation_id = current_log())', owned);
    EXECUTE format('CREATE POLICY of_person ON %I FOR SELECT TO cordon_app USING (operation_id IN (SELECT operations_of_person(current_person())))', owned);
    EXECUTE format('CREATE POLICY for_auditor ON %I FOR SELECT TO cordon_auditor, cordon_owner USING (true)', owned);
  END LOOP;
  FOREACH owned IN ARRAY ARRAY['message', 'extract']
  LOOP
    EXECUTE format('CREATE POLICY of_figures ON %I FOR SELECT TO cordon_figures USING (operation_id IN (SELECT operations_of_person(current_person())))', owned);
  END LOOP;
END
$$;

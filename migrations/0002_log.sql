-- The logs (design: log.md). One row per log; its row lock is the log's order. An operation's log has the operation's id;
-- the one log without an operation is the directory.
CREATE TABLE log (
  id uuid CONSTRAINT log_pkey PRIMARY KEY,
  operation_id uuid CONSTRAINT log_has_id_of_operation CHECK (operation_id = id),
  size bigint NOT NULL CONSTRAINT log_size_counts CHECK (size >= 0),
  root bytea NOT NULL CONSTRAINT log_root_is_hash CHECK (octet_length(root) = 32),
  -- The perfect subtrees of the tree, largest first: 32 bytes per digit 1 of size.
  edge bytea NOT NULL CONSTRAINT log_edge_is_hashes CHECK (octet_length(edge) % 32 = 0),
  -- Last seq of each compartment.
  seqs jsonb NOT NULL,
  -- Index of the last entry that changed who may do what; -1 if there is none.
  changed_index bigint NOT NULL,
  last_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX log_directory_is_one ON log ((operation_id IS NULL)) WHERE operation_id IS NULL;

-- Everything beside leaf repeats what the leaf says, for queries; the verifier compares each column with it.
CREATE TABLE log_entry (
  log_id uuid NOT NULL CONSTRAINT log_entry_has_log REFERENCES log (id),
  index bigint NOT NULL,
  leaf text NOT NULL,
  leaf_hash bytea NOT NULL,
  kind text NOT NULL,
  at timestamptz NOT NULL,
  person_id uuid,
  organization_id uuid,
  device_id text,
  compartment_id uuid,
  seq bigint,
  CONSTRAINT log_entry_pkey PRIMARY KEY (log_id, index)
);
-- What must be unique in a compartment is so even if the appender erred.
CREATE UNIQUE INDEX log_entry_seq_is_unique ON log_entry (log_id, compartment_id, seq) WHERE seq IS NOT NULL;

-- The entries that change who may do what, which a server reads to know an operation.
CREATE INDEX log_entry_changes ON log_entry (log_id, index) WHERE kind ~ '^(operation|member|device|compartment|epoch)\.';

-- Details that may have to be erased, beside the leaf that commits to them.
CREATE TABLE log_private (
  log_id uuid NOT NULL,
  index bigint NOT NULL,
  salt bytea NOT NULL CONSTRAINT log_private_salt_is_long CHECK (octet_length(salt) = 32),
  details text NOT NULL,
  CONSTRAINT log_private_pkey PRIMARY KEY (log_id, index),
  CONSTRAINT log_private_has_entry FOREIGN KEY (log_id, index) REFERENCES log_entry (log_id, index)
);

-- Hashes of the perfect subtrees 8 × level up, level from 1: a tile is a range of 256 of them.
CREATE TABLE log_node (
  log_id uuid NOT NULL CONSTRAINT log_node_has_log REFERENCES log (id),
  level smallint NOT NULL,
  index bigint NOT NULL,
  hash bytea NOT NULL,
  CONSTRAINT log_node_pkey PRIMARY KEY (log_id, level, index)
);

-- Checkpoints that were published.
CREATE TABLE log_checkpoint (
  log_id uuid NOT NULL CONSTRAINT log_checkpoint_has_log REFERENCES log (id),
  size bigint NOT NULL,
  note text NOT NULL,
  CONSTRAINT log_checkpoint_pkey PRIMARY KEY (log_id, size)
);

-- What is in a log stays as it is. A superuser could also switch triggers off, so that stopping one here would only
-- keep the tests from tampering; the verifier is what finds a superuser out.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF current_setting('is_superuser') = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'rows of % are never changed or removed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER log_entry_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON log_entry
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_private_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON log_private
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_node_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON log_node
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_checkpoint_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON log_checkpoint
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_stays BEFORE DELETE OR TRUNCATE ON log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A log only grows.
CREATE FUNCTION refuse_shrinking() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF current_setting('is_superuser') = 'on' THEN
    RETURN NEW;
  END IF;
  IF NEW.id IS DISTINCT FROM OLD.id OR NEW.operation_id IS DISTINCT FROM OLD.operation_id
     OR NEW.size < OLD.size OR NEW.last_at < OLD.last_at OR NEW.changed_index < OLD.changed_index THEN
    RAISE EXCEPTION 'a log only grows' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER log_only_grows BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION refuse_shrinking();

GRANT SELECT, INSERT ON log, log_entry, log_private, log_node, log_checkpoint TO cordon_app;
GRANT UPDATE (size, root, edge, seqs, changed_index, last_at) ON log TO cordon_app;
GRANT SELECT ON log, log_entry, log_private, log_node, log_checkpoint TO cordon_auditor;

-- The second line: a transaction sees the one log that it has named, whatever its statements say. Forced, so that it holds
-- for the owner too.
ALTER TABLE log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE log_entry ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE log_private ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE log_node ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE log_checkpoint ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE FUNCTION current_log() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('cordon.log', true), '')::uuid;
GRANT EXECUTE ON FUNCTION current_log() TO cordon_app;

CREATE POLICY log_of_transaction ON log TO cordon_app USING (id = current_log());
CREATE POLICY log_of_transaction ON log_entry TO cordon_app USING (log_id = current_log());
CREATE POLICY log_of_transaction ON log_private TO cordon_app USING (log_id = current_log());
CREATE POLICY log_of_transaction ON log_node TO cordon_app USING (log_id = current_log());
CREATE POLICY log_of_transaction ON log_checkpoint TO cordon_app USING (log_id = current_log());

CREATE POLICY log_for_auditor ON log FOR SELECT TO cordon_auditor, cordon_owner USING (true);
CREATE POLICY log_for_auditor ON log_entry FOR SELECT TO cordon_auditor, cordon_owner USING (true);
CREATE POLICY log_for_auditor ON log_private FOR SELECT TO cordon_auditor, cordon_owner USING (true);
CREATE POLICY log_for_auditor ON log_node FOR SELECT TO cordon_auditor, cordon_owner USING (true);
CREATE POLICY log_for_auditor ON log_checkpoint FOR SELECT TO cordon_auditor, cordon_owner USING (true);

-- Which logs there are: for the start of a server and for the verifier, who then look at them one by one.
CREATE FUNCTION all_logs() RETURNS TABLE (id uuid, operation_id uuid, size bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT id, operation_id, size FROM public.log ORDER BY id $$;

-- How many rows each table has per log, those of logs that do not exist included: a row nobody would look at is found.
CREATE FUNCTION all_log_rows() RETURNS TABLE (log_id uuid, entries bigint, privates bigint, nodes bigint, checkpoints bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$
    SELECT log_id, sum(e)::bigint, sum(p)::bigint, sum(n)::bigint, sum(c)::bigint
    FROM (
      SELECT log_id, count(*) AS e, 0 AS p, 0 AS n, 0 AS c FROM public.log_entry GROUP BY log_id
      UNION ALL SELECT log_id, 0, count(*), 0, 0 FROM public.log_private GROUP BY log_id
      UNION ALL SELECT log_id, 0, 0, count(*), 0 FROM public.log_node GROUP BY log_id
      UNION ALL SELECT log_id, 0, 0, 0, count(*) FROM public.log_checkpoint GROUP BY log_id
    ) AS counted
    GROUP BY log_id
  $$;
GRANT EXECUTE ON FUNCTION all_logs(), all_log_rows() TO cordon_app, cordon_auditor;

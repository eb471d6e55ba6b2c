-- Cosignatures of witnesses over published checkpoints (design: log.md, "Witnesses"). `number` counts those of a log from 1,
-- so that one taken out of the middle is missed.
CREATE TABLE log_cosignature (
  log_id uuid NOT NULL,
  witness text NOT NULL,
  size bigint NOT NULL,
  number bigint NOT NULL CONSTRAINT log_cosignature_number_counts CHECK (number >= 1),
  -- One signature line for each key of the witness.
  lines text NOT NULL,
  CONSTRAINT log_cosignature_pkey PRIMARY KEY (log_id, witness, size),
  CONSTRAINT log_cosignature_number_key UNIQUE (log_id, number),
  CONSTRAINT log_cosignature_has_checkpoint FOREIGN KEY (log_id, size) REFERENCES log_checkpoint (log_id, size)
);
-- Which checkpoint is the newest with enough of them.
CREATE INDEX log_cosignature_size_idx ON log_cosignature (log_id, size);

CREATE TRIGGER log_cosignature_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON log_cosignature
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON log_cosignature TO cordon_app;
GRANT SELECT ON log_cosignature TO cordon_auditor;

ALTER TABLE log_cosignature ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY log_of_transaction ON log_cosignature TO cordon_app USING (log_id = current_log());
CREATE POLICY log_for_auditor ON log_cosignature FOR SELECT TO cordon_auditor, cordon_owner USING (true);

-- How many there are of each log, those of logs that do not exist included.
CREATE FUNCTION all_cosignature_rows() RETURNS TABLE (log_id uuid, cosignatures bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT log_id, count(*) FROM public.log_cosignature GROUP BY log_id $$;
GRANT EXECUTE ON FUNCTION all_cosignature_rows() TO cordon_app, cordon_auditor;

-- Who the witnesses are stands in the directory log, among everything else.
CREATE INDEX log_entry_witnesses ON log_entry (log_id, index) WHERE kind IN ('witness.added', 'witness.removed');

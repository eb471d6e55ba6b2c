-- What auditors ask the logs (docs/log.md, "Queries"). Each index ends in the place within the log, so that a page begins where
-- the one before it ended. A time range needs none: `at` never decreases, so its ends are found by halving.

-- What an entry is about, as its leaf says. Computed once from the leaves that are there; from here on the appender writes it.
-- JSON escapes only the quotation mark and the backslash of what a subject may hold.
ALTER TABLE log_entry ADD COLUMN subject text
  GENERATED ALWAYS AS (regexp_replace(substring(leaf FROM '"subject":"((?:[^"\\]|\\.)*)"'), '\\(["\\])', '\1', 'g')) STORED;
ALTER TABLE log_entry ALTER COLUMN subject DROP EXPRESSION;
ALTER TABLE log_entry ALTER COLUMN subject SET NOT NULL;

CREATE INDEX log_entry_by_kind ON log_entry (log_id, kind, index);
CREATE INDEX log_entry_by_person ON log_entry (log_id, person_id, kind, index) WHERE person_id IS NOT NULL;
CREATE INDEX log_entry_by_organization ON log_entry (log_id, organization_id, kind, index) WHERE organization_id IS NOT NULL;
CREATE INDEX log_entry_by_device ON log_entry (log_id, device_id, kind, index) WHERE device_id IS NOT NULL;
CREATE INDEX log_entry_by_compartment ON log_entry (log_id, compartment_id, kind, index) WHERE compartment_id IS NOT NULL;
CREATE INDEX log_entry_by_subject ON log_entry (log_id, subject, kind, index);

-- Details too are read by the person who asks, not by naming the log: a request sees those of its person's operations.
CREATE POLICY of_person ON log_private FOR SELECT TO cordon_app USING (log_id IN (SELECT operations_of_person(current_person())));

-- Why an operation exists: what its consultations are justified by unless somebody says otherwise. Operations that state none
-- are justified by their name and reference.
ALTER TABLE operation ADD COLUMN purpose text;

-- At each start the newest of these is looked up in a directory log of any length.
CREATE INDEX log_entry_configuration_idx ON log_entry (log_id, index) WHERE kind = 'configuration.changed';

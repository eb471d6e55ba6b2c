-- Auditors of the database look through views: entries as they are hashed, the tree, checkpoints, and statements. What may have to be
-- erased (log_private), names, headers that queries use, and rows of the service are not among them; people who audit ask
-- the service, which enters what they look at.
REVOKE ALL ON log, log_entry, log_private, log_node, log_checkpoint, log_cosignature, operation, operation_organization, member,
  compartment, compartment_member, member_statement, epoch, thread, message FROM cordon_auditor;

DO $$
DECLARE
  policy record;
BEGIN
  FOR policy IN
    SELECT polname, polrelid::regclass AS owned FROM pg_policy WHERE polname IN ('log_for_auditor', 'for_auditor')
  LOOP
    EXECUTE format('ALTER POLICY %I ON %s TO cordon_owner', policy.polname, policy.owned);
    EXECUTE format('ALTER POLICY %I ON %s RENAME TO for_owner', policy.polname, policy.owned);
  END LOOP;
END
$$;

CREATE VIEW audit_log AS SELECT id, operation_id, size, root, last_at FROM log;
CREATE VIEW audit_entry AS SELECT log_id, index, leaf, leaf_hash FROM log_entry;
CREATE VIEW audit_node AS SELECT log_id, level, index, hash FROM log_node;
CREATE VIEW audit_checkpoint AS SELECT log_id, size, note, previous_size FROM log_checkpoint;
CREATE VIEW audit_cosignature AS SELECT log_id, witness, size, number, lines FROM log_cosignature;
CREATE VIEW audit_member_statement AS SELECT operation_id, hash, jws FROM member_statement;
CREATE VIEW audit_epoch_statement AS SELECT operation_id, hash, jws FROM epoch;
CREATE VIEW audit_message_statement AS SELECT operation_id, log_index, jws FROM message;
GRANT SELECT ON audit_log, audit_entry, audit_node, audit_checkpoint, audit_cosignature, audit_member_statement,
  audit_epoch_statement, audit_message_statement TO cordon_auditor;

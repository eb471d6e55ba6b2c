-- Foreign keys between rows that one transaction writes under the lock of their log are dropped. Each
-- of them was checked for every message, and the check of `body_message_fkey` read the whole
-- operation: Postgres plans it once for a session, and without statistics it takes any index that
-- begins with operation_id. `cordon verify` finds what each of these keys forbade
-- (test/dropped-keys.test.ts).
ALTER TABLE body DROP CONSTRAINT body_message_fkey;
ALTER TABLE extract DROP CONSTRAINT extract_message_fkey;
ALTER TABLE message DROP CONSTRAINT message_thread_fkey;
ALTER TABLE message DROP CONSTRAINT message_refers_to_fkey;
ALTER TABLE message DROP CONSTRAINT message_operation_fkey;
ALTER TABLE message_read DROP CONSTRAINT message_read_message_fkey;
ALTER TABLE log_private DROP CONSTRAINT log_private_has_entry;
ALTER TABLE log_entry DROP CONSTRAINT log_entry_has_log;

-- Postgres joins the policies of a table with OR and asks them from the last name to the first. The
-- policy by the operations of a person calls a function; the one by the log of the transaction
-- compares two ids, and is asked first from now on.
DO $$
DECLARE
  owned text;
BEGIN
  FOR owned IN SELECT tablename FROM pg_policies WHERE schemaname = 'public' AND policyname = 'of_person'
  LOOP
    EXECUTE format('ALTER POLICY of_person ON %I RENAME TO among_operations_of_person', owned);
  END LOOP;
END
$$;

-- A statement and a sealed body do not become smaller: Postgres need not try to compress them.
ALTER TABLE message ALTER COLUMN jws SET STORAGE EXTERNAL;
ALTER TABLE body ALTER COLUMN jwe SET STORAGE EXTERNAL;

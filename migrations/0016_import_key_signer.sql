-- Whose device sealed an import key, so that its certificates can be shown to who opens it. Null for keys of before: those were not signed, and
-- are not opened any more.
ALTER TABLE import_key ADD COLUMN sealed_by text;

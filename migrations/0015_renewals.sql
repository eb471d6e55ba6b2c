-- Certificates end and are renewed (design: protocol.md, "Keys and certificates"). When one was entered decides whether it stands although the
-- device that issued it was revoked as compromised: both times stand beside the statements, and the verifier compares them with these. Rows of
-- before get theirs from their own entry and statement; otherwise they stay as they were.
ALTER TABLE certificate DISABLE TRIGGER certificate_stays;
ALTER TABLE revocation DISABLE TRIGGER revocation_stays;

ALTER TABLE certificate ADD COLUMN certified_at timestamptz;
UPDATE certificate c SET certified_at = e.at
FROM log_entry e JOIN log l ON l.id = e.log_id AND l.operation_id IS NULL
WHERE e.index = c.directory_index;
ALTER TABLE certificate ALTER COLUMN certified_at SET NOT NULL;
CREATE INDEX certificate_issuer_idx ON certificate (issuer_device_id);

ALTER TABLE revocation ADD COLUMN compromised_at timestamptz;
UPDATE revocation SET compromised_at = (convert_from(
  decode(rpad(translate(split_part(jws, '.', 2), '-_', '+/'), (length(split_part(jws, '.', 2)) + 3) / 4 * 4, '='), 'base64'),
  'UTF8')::jsonb ->> 'compromisedAt')::timestamptz;

ALTER TABLE certificate ENABLE TRIGGER certificate_stays;
ALTER TABLE revocation ENABLE TRIGGER revocation_stays;

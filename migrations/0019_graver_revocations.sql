-- A device that was revoked as lost may turn out to have been compromised: it is revoked again, with the time, and the earliest time counts.
ALTER TABLE revocation DROP CONSTRAINT revocation_device_key;
CREATE INDEX revocation_device_idx ON revocation (device_id);

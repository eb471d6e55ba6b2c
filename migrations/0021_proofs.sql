-- By what the person of a session proved last who they are, and since when the session knows their factors: what was added later proves nothing in it, and
-- what is gone no longer does. Sessions of before have proven nothing that counts: sensitive acts ask them once more.

ALTER TABLE session ADD COLUMN proven_by text, ADD COLUMN proven_passkey text, ADD COLUMN known_since timestamptz;
UPDATE session SET known_since = started_at;
ALTER TABLE session ALTER COLUMN known_since SET NOT NULL;

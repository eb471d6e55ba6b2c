-- By what people prove who they are (design: protocol.md, "Sign-in"). A dump of these tables signs nobody in: passphrases are argon2id,
-- the secrets of TOTP are sealed and the recovery codes keyed under a key that lies beside the service, and passkeys are public keys.

-- One of fewer than 15 characters holds only beside a second factor.
ALTER TABLE credential ADD COLUMN needs_second_factor boolean NOT NULL DEFAULT false;

CREATE TABLE totp (
  person_id uuid CONSTRAINT totp_pkey PRIMARY KEY CONSTRAINT totp_person_fkey REFERENCES person,
  sealed_secret bytea NOT NULL,
  set_at timestamptz NOT NULL,
  confirmed_at timestamptz,
  -- RFC 6238, section 5.2: a step is accepted once.
  last_step bigint NOT NULL DEFAULT -1
);

CREATE TABLE recovery_code (
  person_id uuid NOT NULL CONSTRAINT recovery_code_person_fkey REFERENCES person,
  digest bytea NOT NULL,
  CONSTRAINT recovery_code_pkey PRIMARY KEY (person_id, digest)
);

CREATE TABLE passkey (
  id text CONSTRAINT passkey_pkey PRIMARY KEY,
  person_id uuid NOT NULL CONSTRAINT passkey_person_fkey REFERENCES person,
  public_key bytea NOT NULL,
  sign_count bigint NOT NULL,
  name text NOT NULL,
  added_at timestamptz NOT NULL,
  last_used_at timestamptz
);
CREATE INDEX passkey_person_idx ON passkey (person_id);

-- May be lost with the server: whoever was about to answer asks again.
CREATE UNLOGGED TABLE passkey_challenge (
  hash bytea CONSTRAINT passkey_challenge_pkey PRIMARY KEY,
  -- Null where somebody signs in with it, and the answer says who.
  person_id uuid,
  expires_at timestamptz NOT NULL
);
CREATE INDEX passkey_challenge_expiry_idx ON passkey_challenge (expires_at);

-- When its person last proved who they are, and from where it was last renewed; both are for the person to see.
ALTER TABLE session ADD COLUMN verified_at timestamptz;
UPDATE session SET verified_at = started_at;
ALTER TABLE session ALTER COLUMN verified_at SET NOT NULL;
ALTER TABLE session ADD COLUMN address text NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN agent text NOT NULL DEFAULT '';

GRANT DELETE ON credential TO cordon_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON totp, passkey TO cordon_app;
GRANT SELECT, INSERT, DELETE ON recovery_code, passkey_challenge TO cordon_app;

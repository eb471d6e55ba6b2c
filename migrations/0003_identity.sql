-- Who there is (design: protocol.md, "Keys and certificates"). The row of a person is the lock of everything that can
-- act in the person's name: whoever ends a session, a device or the person takes it FOR UPDATE, whoever acts FOR SHARE.

CREATE TABLE trust_root (
  only_row boolean NOT NULL DEFAULT true CONSTRAINT trust_root_pkey PRIMARY KEY CONSTRAINT trust_root_once CHECK (only_row),
  device_id text NOT NULL,
  successor_device_id text NOT NULL,
  statement text NOT NULL,
  set_up_at timestamptz NOT NULL
);

CREATE TABLE set_up_secret (
  only_row boolean NOT NULL DEFAULT true CONSTRAINT set_up_secret_pkey PRIMARY KEY CONSTRAINT set_up_secret_once CHECK (only_row),
  hash bytea NOT NULL
);

CREATE TABLE organization (
  id uuid CONSTRAINT organization_pkey PRIMARY KEY,
  kind text NOT NULL CONSTRAINT organization_kind CHECK (kind IN ('secretariat', 'administration', 'rilo', 'partner', 'right-holder')),
  name text NOT NULL,
  country text,
  region text,
  registered_at timestamptz NOT NULL,
  ended_at timestamptz,
  CONSTRAINT organization_country CHECK ((kind = 'administration') <= (country IS NOT NULL))
);

CREATE TABLE person (
  id uuid CONSTRAINT person_pkey PRIMARY KEY,
  organization_id uuid NOT NULL CONSTRAINT person_organization_fkey REFERENCES organization,
  name text NOT NULL,
  registered_at timestamptz NOT NULL,
  ended_at timestamptz
);
CREATE INDEX person_organization_idx ON person (organization_id);

CREATE TABLE device (
  id text CONSTRAINT device_pkey PRIMARY KEY,
  person_id uuid NOT NULL CONSTRAINT device_person_fkey REFERENCES person,
  sign_key text NOT NULL,
  seal_key text NOT NULL,
  state text NOT NULL CONSTRAINT device_state CHECK (state IN ('waiting', 'certified', 'revoked', 'expired')),
  enrolled_at timestamptz NOT NULL,
  CONSTRAINT device_sign_key_key UNIQUE (sign_key),
  CONSTRAINT device_seal_key_key UNIQUE (seal_key)
);
CREATE INDEX device_person_idx ON device (person_id);

-- Every certificate that was ever accepted; the newest of a device is the one in force.
CREATE TABLE certificate (
  hash text CONSTRAINT certificate_pkey PRIMARY KEY,
  device_id text NOT NULL CONSTRAINT certificate_device_fkey REFERENCES device,
  issuer_device_id text NOT NULL,
  person_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  tier text NOT NULL,
  jws text NOT NULL,
  expires_at timestamptz NOT NULL,
  directory_index bigint NOT NULL
);
CREATE INDEX certificate_device_idx ON certificate (device_id, directory_index);

CREATE TABLE revocation (
  hash text CONSTRAINT revocation_pkey PRIMARY KEY,
  device_id text NOT NULL CONSTRAINT revocation_device_fkey REFERENCES device,
  signer_device_id text NOT NULL,
  jws text NOT NULL,
  directory_index bigint NOT NULL,
  CONSTRAINT revocation_device_key UNIQUE (device_id)
);

CREATE TABLE credential (
  person_id uuid CONSTRAINT credential_pkey PRIMARY KEY CONSTRAINT credential_person_fkey REFERENCES person,
  passphrase_hash text NOT NULL,
  set_at timestamptz NOT NULL
);

CREATE TABLE invitation (
  id uuid CONSTRAINT invitation_pkey PRIMARY KEY,
  person_id uuid NOT NULL CONSTRAINT invitation_person_fkey REFERENCES person,
  organization_id uuid NOT NULL,
  tier text NOT NULL,
  recognition bytea NOT NULL,
  inviter_person_id uuid NOT NULL,
  inviter_device_id text NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX invitation_inviter_idx ON invitation (inviter_person_id);

-- The certifying key of an invitation, sealed to each device of the inviter.
CREATE TABLE invitation_key (
  invitation_id uuid NOT NULL CONSTRAINT invitation_key_invitation_fkey REFERENCES invitation,
  device_id text NOT NULL,
  sealed text NOT NULL,
  CONSTRAINT invitation_key_pkey PRIMARY KEY (invitation_id, device_id)
);

CREATE TABLE enrolment (
  invitation_id uuid CONSTRAINT enrolment_pkey PRIMARY KEY CONSTRAINT enrolment_invitation_fkey REFERENCES invitation,
  device_id text NOT NULL CONSTRAINT enrolment_device_fkey REFERENCES device,
  statement text NOT NULL,
  mac text NOT NULL,
  certified_at timestamptz
);
CREATE INDEX enrolment_device_idx ON enrolment (device_id);

CREATE TABLE session (
  id uuid CONSTRAINT session_pkey PRIMARY KEY,
  person_id uuid NOT NULL CONSTRAINT session_person_fkey REFERENCES person,
  device_id text NOT NULL CONSTRAINT session_device_fkey REFERENCES device,
  key_thumbprint text NOT NULL,
  started_at timestamptz NOT NULL,
  refreshed_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  ended_at timestamptz
);
CREATE INDEX session_person_idx ON session (person_id) WHERE ended_at IS NULL;
CREATE INDEX session_device_idx ON session (device_id) WHERE ended_at IS NULL;

-- Hashes alone. A token that was rotated may be repeated for a moment by the same key; later its family ends.
CREATE TABLE refresh_token (
  hash bytea CONSTRAINT refresh_token_pkey PRIMARY KEY,
  session_id uuid NOT NULL CONSTRAINT refresh_token_session_fkey REFERENCES session,
  issued_at timestamptz NOT NULL,
  rotated_at timestamptz
);
CREATE INDEX refresh_token_session_idx ON refresh_token (session_id);

-- What may be lost with the server: tickets of 30 seconds, proofs that were seen, failures that were counted.
CREATE UNLOGGED TABLE live_ticket (
  hash bytea CONSTRAINT live_ticket_pkey PRIMARY KEY,
  session_id uuid NOT NULL,
  origin text NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE UNLOGGED TABLE dpop_proof (
  hash bytea CONSTRAINT dpop_proof_pkey PRIMARY KEY,
  expires_at timestamptz NOT NULL
);
CREATE INDEX dpop_proof_expiry_idx ON dpop_proof (expires_at);
CREATE UNLOGGED TABLE sign_in_failure (
  person_id uuid NOT NULL,
  at timestamptz NOT NULL
);
CREATE INDEX sign_in_failure_idx ON sign_in_failure (person_id, at);

-- Statements stay as they were signed.
CREATE TRIGGER certificate_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON certificate
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER revocation_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON revocation
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON trust_root, certificate, revocation, invitation_key TO cordon_app;
GRANT SELECT, INSERT, DELETE ON set_up_secret, live_ticket, dpop_proof, sign_in_failure TO cordon_app;
GRANT SELECT, INSERT, UPDATE ON organization, person, device, credential, invitation, enrolment, session, refresh_token TO cordon_app;
GRANT DELETE ON refresh_token TO cordon_app;

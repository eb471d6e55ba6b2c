-- Service accounts (design: access.md): what each may be used for, from where and until when. All of it is set by the invitation and
-- stays; another list is another account. Lists are JSON, as their entry has them.
CREATE TABLE service_account (
  person_id uuid CONSTRAINT service_account_pkey PRIMARY KEY CONSTRAINT service_account_person_fkey REFERENCES person,
  permissions text NOT NULL,
  addresses text NOT NULL,
  expires_at timestamptz NOT NULL,
  -- The key that it signs in with, and that serves nothing else: a JWK and its thumbprint.
  sign_in_key text,
  key_thumbprint text,
  -- The time of the entry that ended it.
  ended_at timestamptz,
  used_at timestamptz,
  used_from text,
  CONSTRAINT service_account_key_key UNIQUE (key_thumbprint),
  CONSTRAINT service_account_key_whole CHECK ((sign_in_key IS NULL) = (key_thumbprint IS NULL)),
  CONSTRAINT service_account_use_whole CHECK ((used_at IS NULL) = (used_from IS NULL))
);
CREATE INDEX service_account_expiry_idx ON service_account (expires_at) WHERE ended_at IS NULL;

GRANT SELECT, INSERT, UPDATE (sign_in_key, key_thumbprint, ended_at, used_at, used_from) ON service_account TO cordon_app;

-- What the servers of one service have counted together, for one window of time (docs/decisions/0035-limits-of-requests.md). A key is a
-- hash of who is counted and of what. It may be lost with the server: then counting begins anew.
CREATE UNLOGGED TABLE rate_limit (
  key bytea NOT NULL,
  ends_at timestamptz NOT NULL,
  requests bigint NOT NULL,
  CONSTRAINT rate_limit_pkey PRIMARY KEY (key, ends_at)
);
CREATE INDEX rate_limit_end_idx ON rate_limit (ends_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limit TO cordon_app;

-- Failures are counted where they were made: on one device of the person, or at its enrolments.
TRUNCATE sign_in_failure;
ALTER TABLE sign_in_failure ADD COLUMN door text NOT NULL;
DROP INDEX sign_in_failure_idx;
CREATE INDEX sign_in_failure_idx ON sign_in_failure (person_id, door, at);

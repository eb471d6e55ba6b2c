-- Who stands in for a contact point who is away: one arrangement for each, the newest; those before stand in the log. Whether it counts at a
-- moment follows from the state of the two people and from the time, and is entered nowhere.
CREATE TABLE deputy (
  person_id uuid CONSTRAINT deputy_pkey PRIMARY KEY CONSTRAINT deputy_person_fkey REFERENCES person,
  deputy_person_id uuid NOT NULL CONSTRAINT deputy_deputy_fkey REFERENCES person,
  from_at timestamptz NOT NULL,
  -- Null until it is taken back.
  until_at timestamptz,
  CONSTRAINT deputy_other CHECK (person_id <> deputy_person_id),
  CONSTRAINT deputy_period CHECK (until_at > from_at)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON deputy TO cordon_app;

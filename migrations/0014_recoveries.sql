-- A person who has lost every device comes back by an invitation that a second person of another organization has approved. What is approved is
-- the very request: its hash stands in both entries.
CREATE TABLE recovery (
  invitation_id uuid CONSTRAINT recovery_pkey PRIMARY KEY CONSTRAINT recovery_invitation_fkey REFERENCES invitation,
  request text NOT NULL,
  requested_at timestamptz NOT NULL,
  approver_person_id uuid CONSTRAINT recovery_approver_fkey REFERENCES person,
  approved_at timestamptz,
  CONSTRAINT recovery_approved CHECK ((approver_person_id IS NULL) = (approved_at IS NULL))
);
GRANT SELECT, INSERT, UPDATE ON recovery TO cordon_app;

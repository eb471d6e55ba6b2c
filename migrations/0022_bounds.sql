-- How many open invitations to a further device a person has is asked with each further one.

CREATE INDEX invitation_person_idx ON invitation (person_id);

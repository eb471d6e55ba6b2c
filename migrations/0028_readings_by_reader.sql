-- Readings are entered by the server for all readers together. An auditor who asks for the acts of a person, or of an
-- organization, finds through these indexes the entries that hold its readings; a message has the primary key.
CREATE INDEX message_read_by_person ON message_read (operation_id, person_id, log_index);
CREATE INDEX message_read_by_organization ON message_read (operation_id, organization_id, log_index);

-- No two organizations have one name: their names are compared in the form of `comparingForm`
-- (src/forms/names.ts), which the service writes beside the name. The migration fills it in for the
-- rows that are there (src/db/migrate.ts). Of organizations of one form the first keeps it, and the
-- others have none: their names stay as they are.
ALTER TABLE organization ADD COLUMN name_form text CONSTRAINT organization_name_form_key UNIQUE;

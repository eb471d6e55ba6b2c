-- A contact point may put a new import key in place of the organization's, where somebody stored one that does not open. The entry says so.
GRANT DELETE ON import_key TO cordon_app;

-- With which attempt of its client a refresh token was exchanged (a hash): the same attempt is
-- answered again, however late, until the next token is exchanged itself. Null where the client
-- named none.
ALTER TABLE refresh_token ADD COLUMN attempt bytea;

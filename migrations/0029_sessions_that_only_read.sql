-- A session that began while the directory log was not continued, because the database is an older copy. No entry vouches
-- for it, and nobody acts in it: it reads until the directory log goes on, and ends then.
ALTER TABLE session ADD COLUMN reading boolean NOT NULL DEFAULT false;

-- An account that sleeps acts nowhere and loses nothing: whoever answers for the person wakes it, and each operation takes it back by a
-- statement of somebody who may admit. Null while it is awake.
ALTER TABLE person ADD COLUMN asleep_at timestamptz;

-- A retained volume that was given to another instance: the instance that it came from, in the row of the new owner, and
-- the instance that it was given to, in the row of the old one.
ALTER TABLE instance_volumes ADD COLUMN reused_from TEXT;
ALTER TABLE instance_volumes ADD COLUMN reused_by TEXT;

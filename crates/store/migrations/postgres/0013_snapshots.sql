-- Behind a backup everybody would stand in line.
SET LOCAL lock_timeout = '5s';
-- Which snapshots of a volume the cloud showed, as JSON; NULL: none. They outlive it, and the cloud forgets what they were made of.
ALTER TABLE instance_volumes ADD COLUMN snapshots_json TEXT;
CREATE INDEX instance_volumes_snapshots ON instance_volumes (account_id, zone) WHERE snapshots_json IS NOT NULL;

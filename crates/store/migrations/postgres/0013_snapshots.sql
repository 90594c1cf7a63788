-- Do not wait long behind a backup: everyone else would queue.
SET LOCAL lock_timeout = '5s';
-- Snapshots of a volume that the cloud showed, as JSON; NULL: none. Snapshots outlive the volume, and the cloud then no
-- longer shows their source.
ALTER TABLE instance_volumes ADD COLUMN snapshots_json TEXT;
CREATE INDEX instance_volumes_snapshots ON instance_volumes (account_id, zone) WHERE snapshots_json IS NOT NULL;

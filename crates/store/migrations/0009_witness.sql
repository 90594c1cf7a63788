-- When the cloud accepted the deletion of a volume: evidence of its own that outlives the process, where no other volume
-- shows that the credentials see block storage.
ALTER TABLE instance_volumes ADD COLUMN delete_accepted_at BIGINT;

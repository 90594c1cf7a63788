-- When the cloud accepted the deletion of a volume: durable evidence that the credentials see block storage, if no
-- other volume shows it.
ALTER TABLE instance_volumes ADD COLUMN delete_accepted_at BIGINT;

-- Instances and services that end by themselves.
ALTER TABLE instances ADD COLUMN expires_at BIGINT;
-- When it was told that the end is near.
ALTER TABLE instances ADD COLUMN expiry_told_at BIGINT;
CREATE INDEX instances_expiring ON instances (account_id, expires_at) WHERE expires_at IS NOT NULL AND desired <> 'absent';
ALTER TABLE services ADD COLUMN expires_at BIGINT;

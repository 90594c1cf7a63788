-- How often it was changed whether a volume is kept: part of its name in the cloud, so that records that are older than the
-- cloud are recognised. `cloud_policy_json`: what the cloud says where that is newer than the row.
ALTER TABLE instance_volumes ADD COLUMN policy_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE instance_volumes ADD COLUMN cloud_policy_json TEXT;

-- Reads may be stale: what was seen once and is not believed yet, for servers and volumes.
ALTER TABLE instance_servers ADD COLUMN pending_observation_json TEXT;
ALTER TABLE instance_volumes ADD COLUMN pending_observation_json TEXT;

-- When a look may confirm the proofs of an instance at the earliest; NULL: nothing is left to confirm.
ALTER TABLE instances ADD COLUMN confirm_after BIGINT;
CREATE INDEX instances_unconfirmed ON instances (account_id, zone, id) WHERE confirm_after IS NOT NULL;

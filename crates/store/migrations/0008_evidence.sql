-- How often the retention policy of a volume changed: part of its name in the cloud, to detect records that are older
-- than the cloud. `cloud_policy_json`: the policy in the cloud, if newer than the row.
ALTER TABLE instance_volumes ADD COLUMN policy_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE instance_volumes ADD COLUMN cloud_policy_json TEXT;

-- Reads may be stale: observations of servers and volumes that are not confirmed yet.
ALTER TABLE instance_servers ADD COLUMN pending_observation_json TEXT;
ALTER TABLE instance_volumes ADD COLUMN pending_observation_json TEXT;

-- The earliest time at which an observation may confirm the proofs of an instance; NULL: nothing left to confirm.
ALTER TABLE instances ADD COLUMN confirm_after BIGINT;
CREATE INDEX instances_unconfirmed ON instances (account_id, zone, id) WHERE confirm_after IS NOT NULL;

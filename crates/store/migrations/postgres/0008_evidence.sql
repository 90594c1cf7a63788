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

-- New kinds of lines that proofs are made of belong to the part that stays.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = 0;
ALTER TABLE action_logs DETACH PARTITION action_logs_proofs;
WITH moved AS (
    DELETE FROM action_logs WHERE action IN ('RESOURCE_REAPPEARED', 'RECORDS_OLDER_THAN_CLOUD', 'POLICY_RECOVERED') RETURNING *
)
INSERT INTO action_logs_proofs SELECT * FROM moved;
ALTER TABLE action_logs ATTACH PARTITION action_logs_proofs FOR VALUES IN (
    'PROVIDER_CREATE', 'PROVIDER_CREATE_VOLUME', 'PROVIDER_DELETE', 'PROVIDER_DELETE_VOLUME', 'PROVIDER_PROVE_SERVER_GONE',
    'PROVIDER_PROVE_VOLUME_GONE', 'SERVER_ADOPTED', 'VOLUME_ADOPTED', 'VOLUME_FOUND', 'FOREIGN_VOLUME_FOUND',
    'FOREIGN_VOLUME_RELEASED', 'VOLUME_RETAINED', 'ATTEMPT_BURNED', 'FOREIGN_ADDRESS_LEFT', 'SERVER_DISAPPEARED',
    'VOLUME_DISAPPEARED', 'INSTANCE_RECOVERED', 'ORPHAN_TAKEN', 'RESOURCE_REAPPEARED', 'RECORDS_OLDER_THAN_CLOUD',
    'POLICY_RECOVERED');

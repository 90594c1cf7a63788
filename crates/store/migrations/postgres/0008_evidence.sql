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

-- New kinds of proof lines belong to the partition that stays.
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

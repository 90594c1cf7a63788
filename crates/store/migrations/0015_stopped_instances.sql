-- Instances can be stopped: `stopping` and `stopped` are living, too. The indexes after this one are made again, because
-- of two that fit, SQLite takes the later one.
DROP INDEX instances_living;
DROP INDEX instances_in_zone;
DROP INDEX instances_model;
DROP INDEX instances_to_confirm;
DROP INDEX instances_name;
CREATE INDEX instances_living ON instances (account_id, zone, id)
    WHERE status IN ('provisioning', 'booting', 'ready', 'stopping', 'stopped', 'terminating');
CREATE INDEX instances_in_zone ON instances (zone, id);
CREATE INDEX instances_model ON instances (model_id, id) WHERE model_id IS NOT NULL;
CREATE INDEX instances_to_confirm ON instances (account_id, zone, id) WHERE confirm_after IS NOT NULL;
CREATE INDEX instances_name ON instances (account_id, name, id);
ALTER TABLE instances ADD COLUMN reboot_requested_at BIGINT;

-- Workers: the server of an instance is up before its model answers. The indexes after `instances_living` are made again,
-- because of two that fit, SQLite takes the later one.
ALTER TABLE instances ADD COLUMN up_at BIGINT;
-- What is known of the worker; NULL: none is expected now.
ALTER TABLE instances ADD COLUMN worker_json TEXT;
UPDATE instances SET up_at = ready_at;
DROP INDEX instances_living;
DROP INDEX instances_in_zone;
DROP INDEX instances_model;
DROP INDEX instances_to_confirm;
DROP INDEX instances_name;
CREATE INDEX instances_living ON instances (account_id, zone, id)
    WHERE status IN ('provisioning', 'booting', 'installing', 'starting', 'ready', 'unavailable', 'startup_failed', 'stopping', 'stopped', 'draining', 'terminating');
-- Instances whose worker is watched.
CREATE INDEX instances_watched ON instances (account_id, zone, id)
    WHERE worker_json IS NOT NULL AND status IN ('booting', 'installing', 'starting', 'ready', 'unavailable',
    'startup_failed', 'draining');
CREATE INDEX instances_in_zone ON instances (zone, id);
CREATE INDEX instances_model ON instances (model_id, id) WHERE model_id IS NOT NULL;
CREATE INDEX instances_to_confirm ON instances (account_id, zone, id) WHERE confirm_after IS NOT NULL;
CREATE INDEX instances_name ON instances (account_id, name, id);
-- The last lines of an engine that failed, as a JSON array of strings.
CREATE TABLE engine_logs (
    instance_id TEXT PRIMARY KEY REFERENCES instances (id),
    lines_json TEXT NOT NULL,
    read_at BIGINT NOT NULL
);

-- Do not wait long behind a backup: everyone else would queue.
SET LOCAL lock_timeout = '5s';
-- The names of living instances: unique, so that a name can be used instead of an id.
CREATE TABLE instance_names (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    name TEXT NOT NULL,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    PRIMARY KEY (account_id, name)
);
CREATE INDEX instance_names_instance ON instance_names (instance_id);
INSERT INTO instance_names (account_id, name, instance_id)
    SELECT account_id, name, MIN(id) FROM instances
    WHERE status IN ('provisioning', 'booting', 'ready', 'terminating') GROUP BY account_id, name;
-- Finds ended instances by their former name.
CREATE INDEX instances_name ON instances (account_id, name, id);

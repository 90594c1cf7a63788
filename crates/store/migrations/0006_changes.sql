-- The order of visible changes of instances, for the stream of changes. 0: changed and not numbered yet.
-- A separate table: a new column would change the results of statements of replicas with an older version.
CREATE TABLE instance_changes (
    instance_id TEXT PRIMARY KEY REFERENCES instances (id),
    changed BIGINT NOT NULL
);
CREATE INDEX instance_changes_changed ON instance_changes (changed, instance_id);

-- The last number, and a random value that is replaced when earlier positions become invalid; one row.
CREATE TABLE changes (
    last BIGINT NOT NULL,
    history TEXT NOT NULL
);
INSERT INTO changes (last, history) VALUES (1, '0');
